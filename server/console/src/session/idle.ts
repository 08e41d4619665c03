// Signs out who left the desk, and nobody else. The server ends a session that asks nothing for half an hour; lists that
// refresh by themselves would keep it open, so the console counts what the person does, not what it asks. And since who
// types asks nothing, the console asks on their behalf.
import { onScopeDispose, readonly, ref } from 'vue'
import { lastAnswered } from '@/api/client'

/**
 * Milliseconds without a key, click or touch after which the session is ended. The server's half hour may begin up to a
 * minute before the last request: it doesn't note every one.
 */
export const IDLE = 29 * 60_000
/** The last part of it, in which a warning is shown. */
export const WARNING = 60_000
/** Who does something is asked for after so many milliseconds without a request. */
export const KEEP = 10 * 60_000
/** Between two tries to ask, where nothing answers. */
const PAUSE = 30_000

const touched = ref(Date.now())
const DOINGS = ['keydown', 'pointerdown', 'wheel', 'touchstart'] as const

/** Whether someone did something within so many milliseconds. */
export function isActive(within = 5 * 60_000): boolean {
  return Date.now() - touched.value < within
}

/**
 * Counts while the caller's component lives; `left` is the time to the end in seconds, shown in the last minute. `keep`
 * asks the server something, so that it counts the session as used.
 */
export function useIdle({ end, keep }: { end: () => void; keep: () => void }) {
  const left = ref<number | null>(null)
  let kept = 0
  const touch = () => {
    // Once warned, only the dialog's button counts: a bumped table is no decision to stay.
    if (left.value === null) touched.value = Date.now()
  }
  const ask = () => {
    kept = Date.now()
    keep()
  }
  const stay = () => {
    left.value = null
    touched.value = Date.now()
    ask()
  }
  touched.value = Date.now()
  for (const doing of DOINGS) addEventListener(doing, touch, { passive: true, capture: true })
  const timer = setInterval(() => {
    const now = Date.now()
    const remaining = touched.value + IDLE - now
    if (remaining <= 0) {
      end()
      return
    }
    left.value = remaining <= WARNING ? Math.ceil(remaining / 1000) : null
    const unheard = touched.value > lastAnswered() && now - lastAnswered() >= KEEP
    if (unheard && now - kept >= PAUSE) ask()
  }, 1000)
  onScopeDispose(() => {
    clearInterval(timer)
    for (const doing of DOINGS) removeEventListener(doing, touch, { capture: true })
  })
  return { left: readonly(left), stay }
}
