// What an import is doing, and looking at it again while it does.
import { onScopeDispose, watch } from 'vue'
import type { ImportView } from '@/api/schema'
import { isActive } from '@/session/idle'

/** Milliseconds between two looks while the server works: longer and longer, since each look is written in the log. */
const SHORTEST = 800
const LONGEST = 5000

/** Whether the server works on it now. */
export function isBusy(item: ImportView): boolean {
  return ['checking', 'running', 'undoing'].includes(item.status)
}

/** The colour that goes with a state. */
export function kindOf(status: string): 'plain' | 'good' | 'warn' | 'bad' | 'accent' {
  if (status === 'done') return 'good'
  if (status === 'failed') return 'bad'
  if (status === 'checked' || status === 'uploaded') return 'warn'
  return status === 'undone' ? 'plain' : 'accent'
}

/** How many rows would be written. */
export function ready(item: ImportView): number {
  return item.counts.new + item.counts.changed + item.counts.duplicate
}

/** Asks again as long as `busy` says so; a tab that nobody sees, or sits at, rests. */
export function useLook(busy: () => boolean, look: () => Promise<void>): void {
  let timer: ReturnType<typeof setTimeout> | undefined
  let gone = false
  function next(pause: number): void {
    clearTimeout(timer)
    if (gone || !busy()) return
    timer = setTimeout(() => {
      const seen = document.visibilityState === 'visible' && isActive(30 * 60_000)
      void (seen ? look() : Promise.resolve()).finally(() => next(Math.min(pause * 1.3, LONGEST)))
    }, pause)
  }
  watch(busy, () => next(SHORTEST), { immediate: true })
  onScopeDispose(() => {
    gone = true
    clearTimeout(timer)
  })
}
