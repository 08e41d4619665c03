// Values of a record as they are read: codes as what they mean, sets as lists, items line by line; masks as they came.
import type { DeclaredField } from '@/api/schema'
import { common } from '@/texts/common'
import { time } from '@/ui/format'
import type { Declared, Type } from './declared'

/** A record's values by key. */
export type Values = { [key: string]: unknown }

/** Name and element of a key: `tags/elderly`. */
export function split(key: string): [name: string, element: string | undefined] {
  const at = key.indexOf('/')
  return at < 0 ? [key, undefined] : [key.slice(0, at), key.slice(at + 1)]
}

/** The elements that a set has. */
export function elements(values: Values, name: string): string[] {
  return Object.entries(values)
    .filter(([key, value]) => key.startsWith(`${name}/`) && value !== false && value !== null)
    .map(([key]) => key.slice(name.length + 1))
}

/** An item of a keyed list. */
export type Item = { [name: string]: unknown }

/** A keyed list's items by key. */
export function items(values: Values, name: string): Map<string, Item> {
  const found = new Map<string, Item>()
  for (const element of elements(values, name)) {
    const item = asItem(values[`${name}/${element}`])
    if (item) found.set(element, item)
  }
  return found
}

export function asItem(value: unknown): Item | undefined {
  if (typeof value !== 'string') return undefined
  try {
    const item: unknown = JSON.parse(value)
    return typeof item === 'object' && item !== null && !Array.isArray(item) ? (item as Item) : undefined
  } catch {
    return undefined
  }
}

/** A masked value stands in stars. */
export function isMasked(field: DeclaredField, value: unknown): boolean {
  return field.masked && typeof value === 'string' && value.includes('*')
}

/** One scalar in words; empty, where there is none. */
export function scalar(declared: Declared, field: DeclaredField, value: unknown): string {
  if (value === null || value === undefined || value === '') return ''
  if (typeof value === 'boolean') return value ? common.yes : common.no
  if (field.table && typeof value === 'string') return declared.label(field.table, value)
  if (field.kind === 'date_time' && typeof value === 'number') return time(new Date(value).toISOString())
  if (field.kind === 'items') {
    const item = asItem(value)
    return item ? line(declared, field, item) : String(value)
  }
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

/** An item in one line. What it refers to is left out: it is shown as a link elsewhere. */
export function line(declared: Declared, field: DeclaredField, item: Item): string {
  return field.fields
    .filter(inner => inner.kind !== 'reference')
    .map(inner => scalar(declared, inner, item[inner.name]))
    .filter(text => text !== '')
    .join(' ')
}

/** A field's value in words; empty, where there is none. */
export function words(declared: Declared, field: DeclaredField, values: Values): string {
  switch (field.kind) {
    case 'codes':
      return elements(values, field.name)
        .map(code => (field.table ? declared.label(field.table, code) : code))
        .join('、')
    case 'texts':
      return elements(values, field.name).join('、')
    case 'items':
      return [...items(values, field.name).values()].map(item => line(declared, field, item)).join('；')
    case 'photos':
      return ''
    default:
      return scalar(declared, field, values[field.name])
  }
}

/** The field of a key, whatever element of it. */
export function fieldOf(type: Type, key: string): DeclaredField | undefined {
  return type.byName.get(split(key)[0])
}

/** Whether it is a picture: those are shown by themselves. */
export function isPicture(field: DeclaredField): boolean {
  return field.kind === 'photo' || field.kind === 'photos'
}

/** Values with what was revealed of them: masked elements of a set give way to the real ones. */
export function unmasked(values: Values, revealed: Values | undefined): Values {
  if (!revealed) return values
  const names = new Set(Object.keys(revealed).map(key => split(key)[0]))
  const rest = Object.entries(values).filter(([key]) => !names.has(split(key)[0]))
  return { ...Object.fromEntries(rest), ...revealed }
}
