// What was revealed on this page: for a purpose, logged by the server, gone with the page or after some minutes.
import { onScopeDispose, shallowReactive } from 'vue'
import { api, ok } from '@/api/client'
import type { Purpose, Revealed } from '@/api/schema'

/** Milliseconds after which a revealed value is masked again: a screen left open shows nothing for long. */
const SHOWN = 5 * 60_000

/** What is revealed, and what for. */
export interface Shown extends Revealed {
  purpose: Purpose
}

export interface Revealing {
  /** What is revealed of a record now. */
  of(record: string): Shown | undefined
  reveal(record: string, purpose: Purpose): Promise<void>
  /** Masks it again. */
  hide(record: string): void
}

/** Masks again, after the time that what is revealed stays. */
export function useMasking(): (mask: () => void) => void {
  const timers = new Set<ReturnType<typeof setTimeout>>()
  onScopeDispose(() => timers.forEach(clearTimeout))
  return mask => void timers.add(setTimeout(mask, SHOWN))
}

export function useRevealed(): Revealing {
  const shown = shallowReactive(new Map<string, Shown>())
  const later = useMasking()
  return {
    of: record => shown.get(record),
    async reveal(record, purpose) {
      const path = { record_id: record }
      const values = await ok(api.POST('/api/records/{record_id}/reveal', { params: { path }, body: { purpose } }))
      const revealed = { ...values, purpose }
      shown.set(record, revealed)
      later(() => {
        if (shown.get(record) === revealed) shown.delete(record)
      })
    },
    hide: record => void shown.delete(record),
  }
}
