// Hears from the server what changed. It tells that something changed, never what: whoever listens asks again.
import { onScopeDispose, ref } from 'vue'
import { authorization } from '@/api/client'

export interface Happenings {
  /** Queues of these areas changed. */
  conflicts: { areas: string[] }
  /** What the user may do changed. */
  rights: Record<string, never>
  /** The tree of areas changed. */
  areas: Record<string, never>
  /** The session ended. */
  ended: { code: string; message: string }
  /** The connection stands (again): what happened meanwhile was not told. */
  ready: Record<string, never>
}

type Name = keyof Happenings
type Listener = (what: never) => void

const listeners = new Map<Name, Set<Listener>>()
/** Whether the stream stands; undefined before the first try. */
export const connected = ref<boolean>()

/** Calls `listener` while the caller's component lives. */
export function useHappening<N extends Name>(name: N, listener: (what: Happenings[N]) => void): void {
  const own = listeners.get(name) ?? new Set()
  listeners.set(name, own.add(listener as Listener))
  onScopeDispose(() => own.delete(listener as Listener))
}

/** `run` at once, and again later if it was called meanwhile: many notices at a time make few requests. */
export function calmly(run: () => unknown, pause = 1000): () => void {
  let waiting: ReturnType<typeof setTimeout> | undefined
  let again = false
  const turn = () => {
    again = false
    run()
    waiting = setTimeout(() => {
      waiting = undefined
      if (again) turn()
    }, pause)
  }
  return () => {
    if (waiting === undefined) turn()
    else again = true
  }
}

function tell(name: string, data: string): void {
  for (const listener of listeners.get(name as Name) ?? []) listener(JSON.parse(data) as never)
}

/** The server says something every 15 s at least; after so many milliseconds of silence nobody is there any more. */
const SILENCE = 45_000

/** Keeps the stream open while the caller's component lives, with growing pauses between tries. */
export function useLive(silence = SILENCE): void {
  const stop = new AbortController()
  onScopeDispose(() => stop.abort())
  void follow(stop.signal, silence)
}

async function follow(signal: AbortSignal, silence: number): Promise<void> {
  let pause = 1000
  while (!signal.aborted) {
    const attempt = new AbortController()
    const cut = () => attempt.abort()
    signal.addEventListener('abort', cut)
    let timer = setTimeout(cut, silence)
    const heard = () => {
      clearTimeout(timer)
      timer = setTimeout(cut, silence)
    }
    try {
      const response = await fetch('/api/live', { headers: authorization(), signal: attempt.signal })
      // The next ordinary request says why; nothing more is heard with this token.
      if (response.status === 401) return
      if (response.ok && response.body) {
        connected.value = true
        pause = 1000
        heard()
        await read(response.body, heard)
      }
    } catch {
      // Cut off: tried again below.
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', cut)
    }
    if (signal.aborted) return
    connected.value = false
    await new Promise(resolve => setTimeout(resolve, pause * (0.75 + Math.random() / 2)))
    pause = Math.min(pause * 2, 30_000)
  }
}

/** Reads server-sent events: lines, an empty one ending each event. */
async function read(body: ReadableStream<Uint8Array>, heard: () => void): Promise<void> {
  const reader = body.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>).getReader()
  let rest = ''
  let name = ''
  let data = ''
  for (;;) {
    const { value, done } = await reader.read()
    if (done) return
    heard()
    const lines = (rest + value).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line.startsWith('event:')) name = line.slice(6).trim()
      else if (line.startsWith('data:')) data += line.slice(5).trim()
      else if (line === '') {
        if (name && data) tell(name, data)
        name = data = ''
      }
    }
  }
}
