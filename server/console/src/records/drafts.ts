// What someone has changed in a form and not saved yet: only what was typed, key by key, so that the rest follows the
// record. When what was revealed is masked again, all of it goes from the inputs but what the person put there: a number
// typed anew stays, the numbers beside it in the same item do not.
import { computed, shallowReactive, type ComputedRef } from 'vue'
import type { DeclaredField, RecordView } from '@/api/schema'
import type { Type } from './declared'
import { elements, fieldOf, isMasked, items, split, type Item, type Values } from './values'

/** What an input holds: texts and codes, numbers, yes or no, elements of a set, items by key. */
export type Input = string | number | boolean | string[] | Map<string, Item> | null

/** By key, what was typed: a scalar; of a set's element whether it is to be in; of an item the parts, null without it. */
type Edit = string | number | boolean | Item | null

export interface Drafts {
  /** What the input of a field shows now. */
  shown(field: DeclaredField): Input
  set(field: DeclaredField, value: Input): void
  touched(name: string): boolean
  /** Whether parts of an item are masked, and not typed anew. */
  hides(field: DeclaredField, element: string): boolean
  /** What is to be sent: values by key, null for what is cleared or taken out. */
  changes: ComputedRef<Values>
  /** Changed items that can't be sent while other parts of them are masked, by key: an item is written whole. */
  waiting: ComputedRef<string[]>
  /** What was typed, to go on with: `useDrafts` takes it. */
  typed: Map<string, Edit>
  clear(): void
}

/** An editing that was broken off: the record that it began with, and what was typed. */
export interface Kept {
  base: RecordView
  typed: Drafts['typed']
}

/** The name under which a record's editing is kept. */
export function draftOf(record: string): string {
  return `draft ${record}`
}

/** The value that the record has, as the input takes it. A masked one leaves the input empty: it is typed anew. */
function initial(field: DeclaredField, values: Values): Input {
  switch (field.kind) {
    case 'codes':
    case 'texts':
      return elements(values, field.name)
    case 'items':
      return items(values, field.name)
    default: {
      const value = values[field.name]
      if (isMasked(field, value)) return null
      return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null
    }
  }
}

export function useDrafts(type: () => Type, values: () => Values, typed = new Map<string, Edit>()): Drafts {
  const edits = shallowReactive(typed)
  const editsOf = (field: DeclaredField) =>
    [...edits].flatMap(([key, edit]) => {
      const [name, element] = split(key)
      return name === field.name && element !== undefined ? [[element, edit] as const] : []
    })

  function shown(field: DeclaredField): Input {
    const held = initial(field, values())
    if (Array.isArray(held)) {
      const all = new Set(held)
      for (const [element, edit] of editsOf(field)) {
        if (edit === true) all.add(element)
        else all.delete(element)
      }
      return [...all]
    }
    if (held instanceof Map) {
      for (const [element, edit] of editsOf(field)) {
        if (isParts(edit)) held.set(element, whole(held.get(element), edit))
        else held.delete(element)
      }
      return held
    }
    const typed = edits.get(field.name)
    return typed === undefined ? held : (typed as Input)
  }

  /** What is as the record has it is no edit: it follows the record, and its mask, again. */
  function put(key: string, edit: Edit | undefined): void {
    if (edit === undefined) edits.delete(key)
    else edits.set(key, edit)
  }

  function set(field: DeclaredField, value: Input): void {
    const held = initial(field, values())
    if (Array.isArray(held) && Array.isArray(value)) {
      const before = shown(field) as string[]
      for (const element of new Set([...before, ...value])) {
        const wanted = value.includes(element)
        if (wanted === before.includes(element)) continue
        put(`${field.name}/${element}`, wanted === held.includes(element) ? undefined : wanted)
      }
    } else if (held instanceof Map && value instanceof Map) {
      for (const element of new Set([...held.keys(), ...value.keys(), ...editsOf(field).map(([element]) => element)])) {
        put(`${field.name}/${element}`, parts(held.get(element), value.get(element)))
      }
    } else if (!Array.isArray(value) && !(value instanceof Map)) {
      const typed = value === '' ? null : value
      put(field.name, typed === held ? undefined : typed)
    }
  }

  function hides(field: DeclaredField, element: string): boolean {
    const item = items(values(), field.name).get(element)
    const edit = edits.get(`${field.name}/${element}`)
    return field.fields.some(
      part => isMasked(part, item?.[part.name]) && !(isParts(edit) && Object.hasOwn(edit, part.name)),
    )
  }

  const sorted = computed(() => {
    const changes: Values = {}
    const waiting: string[] = []
    for (const [key, edit] of edits) {
      const field = fieldOf(type(), key)
      if (!field) continue
      const [name, element] = split(key)
      if (element === undefined) {
        // What is behind a mask is another value, as far as we know: to clear it is a change as well.
        if (isMasked(field, values()[name]) || edit !== initial(field, values())) changes[key] = edit
      } else if (field.kind === 'items') {
        const item = items(values(), name).get(element)
        if (!isParts(edit)) {
          if (item) changes[key] = null
        } else if (hides(field, element)) waiting.push(key)
        else {
          const text = JSON.stringify(whole(item, edit))
          if (text !== JSON.stringify(item)) changes[key] = text
        }
      } else {
        const held = elements(values(), name)
        const hidden = held.some(one => isMasked(field, one))
        if (hidden || held.includes(element) !== edit) changes[key] = edit === true ? true : null
      }
    }
    return { changes, waiting }
  })
  return {
    shown,
    set,
    touched: name => [...edits.keys()].some(key => split(key)[0] === name),
    hides,
    changes: computed(() => sorted.value.changes),
    waiting: computed(() => sorted.value.waiting),
    typed: edits,
    clear: () => edits.clear(),
  }
}

const isParts = (edit: Edit | undefined): edit is Item => typeof edit === 'object' && edit !== null

/** An item with what was typed into it; null stands for what was emptied. */
function whole(item: Item | undefined, typed: Item): Item {
  return Object.fromEntries(Object.entries({ ...item, ...typed }).filter(([, value]) => value !== null))
}

/** What was typed into an item, null where it is taken out; undefined where nothing differs from what the record has. */
function parts(held: Item | undefined, wanted: Item | undefined): Item | null | undefined {
  if (!wanted) return held && null
  if (!held) return wanted
  const names = [...new Set([...Object.keys(held), ...Object.keys(wanted)])].filter(name => held[name] !== wanted[name])
  if (names.length === 0) return undefined
  return Object.fromEntries(names.map(name => [name, wanted[name] ?? null]))
}
