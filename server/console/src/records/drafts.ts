// What someone has changed in a form and not saved yet: only what was touched, so that the rest follows the record.
import { computed, reactive, type ComputedRef } from 'vue'
import type { DeclaredField } from '@/api/schema'
import type { Type } from './declared'
import { elements, isMasked, items, type Item, type Values } from './values'

/** What an input holds: texts and codes, numbers, yes or no, elements of a set, items by key. */
export type Input = string | number | boolean | string[] | Map<string, Item> | null

export interface Drafts {
  /** What the input of a field shows now. */
  shown(field: DeclaredField): Input
  set(field: DeclaredField, value: Input): void
  touched(name: string): boolean
  /** What is to be sent: values by key, null for what is cleared or taken out. */
  changes: ComputedRef<Values>
  clear(): void
}

/** The value that the record has, as the input takes it. A masked one leaves the input empty: it is typed anew. */
export function initial(field: DeclaredField, values: Values): Input {
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

export function useDrafts(type: () => Type, values: () => Values): Drafts {
  const drafts = reactive(new Map<string, Input>())
  const shown = (field: DeclaredField): Input => {
    const draft = drafts.get(field.name)
    return draft === undefined ? initial(field, values()) : (draft as Input)
  }
  const changes = computed(() => {
    const all: Values = {}
    for (const [name, draft] of drafts) {
      const field = type().byName.get(name)
      if (field) Object.assign(all, changed(field, initial(field, values()), draft as Input))
    }
    return all
  })
  return {
    shown,
    set: (field, value) => void drafts.set(field.name, value),
    touched: name => drafts.has(name),
    changes,
    clear: () => drafts.clear(),
  }
}

/** The keys that lead from one value to the other. */
function changed(field: DeclaredField, from: Input, to: Input): Values {
  if (Array.isArray(from) && Array.isArray(to)) {
    const added = to.filter(element => !from.includes(element)).map(element => [`${field.name}/${element}`, true])
    const gone = from.filter(element => !to.includes(element)).map(element => [`${field.name}/${element}`, null])
    return Object.fromEntries([...added, ...gone]) as Values
  }
  if (from instanceof Map && to instanceof Map) {
    const all: Values = {}
    for (const [key, item] of to) {
      const text = JSON.stringify(item)
      if (text !== JSON.stringify(from.get(key))) all[`${field.name}/${key}`] = text
    }
    for (const key of from.keys()) if (!to.has(key)) all[`${field.name}/${key}`] = null
    return all
  }
  const value = to === '' ? null : to
  return value === from ? {} : { [field.name]: value }
}
