// Where one was in a long list: how much of it was there, how far it was scrolled, and the row one stood on. Kept with the
// list's entry in the browser's history, without a word of what the list showed: who comes back reads it anew, masked.
import { onBeforeRouteLeave, useRoute } from 'vue-router'

/** How a list stands. */
export interface Standing {
  /** How many rows are there. */
  count: number
  /** The key of the row one stands on. */
  row: string | undefined
  /** How many pixels it is scrolled. */
  scroll: number
}

/** The place in a list of the page. */
export interface Place {
  /** How many rows were there, where one comes back; else none. */
  count: number
  /** Tells, when one leaves, how the list stands. */
  follow(now: () => Standing): void
  /** How it stood, where one comes back; once, and not after it was made another list by its filters. */
  take(): Standing | undefined
}

interface Kept extends Standing {
  /** The address it holds for. */
  path: string
}

const KEY = 'list'
/** The browser's entry, as the router keeps it: `current` and `back` are addresses. */
const entry = () => (history.state ?? {}) as { [KEY]?: Kept; current?: unknown; back?: unknown }

/** The place in the caller's list, for `usePages`; whatever shows its rows follows and takes it. */
export function usePlace(): Place {
  const route = useRoute()
  const kept = entry()[KEY]
  let back = kept?.path === route.fullPath ? kept : undefined
  let standing: (() => Standing) | undefined
  onBeforeRouteLeave((_to, from) => {
    // By the browser's own buttons one is at another entry already.
    if (!standing || entry().current !== from.fullPath) return
    history.replaceState({ ...entry(), [KEY]: { ...standing(), path: from.fullPath } satisfies Kept }, '')
  })
  return {
    count: back?.count ?? 0,
    follow: now => (standing = now),
    take() {
      const taken = back?.path === route.fullPath ? back : undefined
      back = undefined
      return taken
    },
  }
}

/** Whether the page before this one was that list, whatever its filters. */
export function cameFrom(list: string): boolean {
  const before = entry().back
  return typeof before === 'string' && before.split('?')[0] === list
}

/** What scrolls an element: itself or the nearest around it that is longer than what shows of it. */
export function scrollerOf(element: Element | null): Element | null {
  for (let at = element; at; at = at.parentElement) {
    if (at.scrollHeight > at.clientHeight && /auto|scroll/.test(getComputedStyle(at).overflowY)) return at
  }
  return null
}

/** Stands there again: as far down, the row in sight, and in focus unless something is being typed or asked by now. */
export function standAt(list: Element | null, scroll: number, row: HTMLElement | null | undefined): void {
  const scroller = scrollerOf(list)
  if (scroller) scroller.scrollTop = scroll
  row?.scrollIntoView({ block: 'nearest' })
  if (!document.activeElement?.closest('input, textarea, [role=dialog]')) row?.focus({ preventScroll: true })
}
