// Keyboard shortcuts: a screen declares its own while it is shown; the help overlay lists what holds now.
import { onScopeDispose, shallowReactive } from 'vue'

export interface Shortcut {
  /** One key (`j`, `Enter`), or two one after the other (`g c`); in the help alone also two together (`Ctrl+Enter`). */
  keys: string
  /** What it does, for the help. */
  text: string
  /** None where an element listens by itself: it is then only listed. */
  run?(): void
  /** Whether it holds now; always, unless told. */
  when?(): boolean
}

export interface Group {
  title: string
  shortcuts: Shortcut[]
}

/** What holds now, the newest last. */
export const groups = shallowReactive<Group[]>([])

/** Milliseconds within which the second key of two must follow. */
const PAUSE = 1200
let first = ''
let firstAt = 0

/** Declares shortcuts while the caller's component lives. */
export function useShortcuts(title: string, shortcuts: Shortcut[]): void {
  const group = { title, shortcuts }
  groups.push(group)
  onScopeDispose(() => {
    const at = groups.indexOf(group)
    if (at >= 0) groups.splice(at, 1)
  })
}

/** A box that was ticked or a list that was chosen from keeps the focus: letters mean nothing to it. */
function takesNoLetters(input: HTMLInputElement): boolean {
  return /^(checkbox|radio)$/.test(input.type) || (input.readOnly && input.getAttribute('aria-expanded') !== 'true')
}

/** Letters typed into a field are no shortcuts, nor is anything while a dialog asks. */
function isTyping(event: KeyboardEvent): boolean {
  const target = event.target
  if (!(target instanceof HTMLElement)) return false
  if (target instanceof HTMLInputElement && takesNoLetters(target)) return event.key.length > 1
  if (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) return true
  return target.closest('[role=dialog], [role=listbox], [role=menu]') !== null
}

/** Whether a dialog stands open. A closed one may stay in the page, hidden. */
function asks(): boolean {
  return [...document.querySelectorAll('[aria-modal=true]')].some(dialog => dialog.checkVisibility())
}

/** What Enter and the space bar mean on a button or link is theirs. */
function isPressing(event: KeyboardEvent): boolean {
  const pressing = event.key === 'Enter' || event.key === ' '
  return pressing && event.target instanceof Element && event.target.closest('a, button, summary') !== null
}

function listen(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return
  if (isTyping(event) || isPressing(event)) return
  if (event.key !== '?' && asks()) return
  const pair = event.timeStamp - firstAt < PAUSE ? `${first} ${event.key}` : ''
  for (const group of [...groups].reverse()) {
    const found = group.shortcuts.find(
      ({ keys, run, when }) => run && (keys === pair || keys === event.key) && (when?.() ?? true),
    )
    if (found) {
      event.preventDefault()
      first = ''
      found.run?.()
      return
    }
  }
  const begins = groups.some(group => group.shortcuts.some(shortcut => shortcut.keys.startsWith(`${event.key} `)))
  first = begins ? event.key : ''
  firstAt = event.timeStamp
}

/** Begins to listen, once. */
export function startShortcuts(): void {
  addEventListener('keydown', listen)
}
