// Signs out who left the desk. The server ends a session that asks nothing for half an hour; lists that refresh by
// themselves would keep it open, so the console counts what the person does, not what it asks.
import { onScopeDispose, readonly, ref } from 'vue'

/** Milliseconds without a key, click or touch after which the session is ended. */
export const IDLE = 30 * 60_000
/** The last part of it, in which a warning is shown. */
export const WARNING = 60_000

const touched = ref(Date.now())
const DOINGS = ['keydown', 'pointerdown', 'wheel', 'touchstart'] as const

/** Whether someone did something within so many milliseconds. */
export function isActive(within = 5 * 60_000): boolean {
  return Date.now() - touched.value < within
}

/** Counts while the caller's component lives; `left` is the time to the end in seconds, shown in the last minute. */
export function useIdle(end: () => void) {
  const left = ref<number | null>(null)
  const touch = () => {
    // Once warned, only the dialog's button counts: a bumped table is no decision to stay.
    if (left.value === null) touched.value = Date.now()
  }
  const stay = () => {
    left.value = null
    touched.value = Date.now()
  }
  touched.value = Date.now()
  for (const doing of DOINGS) addEventListener(doing, touch, { passive: true, capture: true })
  const timer = setInterval(() => {
    const remaining = touched.value + IDLE - Date.now()
    if (remaining <= 0) end()
    else left.value = remaining <= WARNING ? Math.ceil(remaining / 1000) : null
  }, 1000)
  onScopeDispose(() => {
    clearInterval(timer)
    for (const doing of DOINGS) removeEventListener(doing, touch, { capture: true })
  })
  return { left: readonly(left), stay }
}
