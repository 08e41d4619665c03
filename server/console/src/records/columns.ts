// The columns of a list of records, made from the declaration; which are shown is kept in this browser.
import { computed, ref, watch, type ComputedRef, type Ref } from 'vue'
import type { RecordView } from '@/api/schema'
import type { Column } from '@/ui/DataTable.vue'
import type { Declared, Type } from './declared'
import { isPicture, unmasked, words, type Values } from './values'

export interface Columns {
  /** Every column that can be shown. */
  choices: ComputedRef<Column<RecordView>[]>
  /** Keys of those that are. */
  chosen: Ref<string[]>
  shown: ComputedRef<Column<RecordView>[]>
}

/**
 * `first` is always shown; `more` stand beside the declared fields; `usual` is what a fresh browser shows.
 */
export function useColumns(
  list: string,
  of: () => { declared: Declared; type: Type } | undefined,
  first: Column<RecordView>[],
  more: Column<RecordView>[],
  usual: string[],
  revealed: (record: string) => Values | undefined,
): Columns {
  const key = `doorstep.columns.${list}`
  const chosen = ref(read(key) ?? [...usual])
  watch(chosen, keys => localStorage.setItem(key, JSON.stringify(keys)))
  const choices = computed(() => {
    const given = of()
    if (!given) return []
    const { declared, type } = given
    const fixed = new Set([...first, ...more].map(column => column.key))
    const fields = type.fields
      .filter(field => !isPicture(field) && field.kind !== 'items' && !field.retired && !fixed.has(field.name))
      .map((field): Column<RecordView> => ({
        key: field.name,
        label: field.label,
        text: row => words(declared, field, unmasked(row.fields, revealed(row.id))) || undefined,
      }))
    return [...more, ...fields]
  })
  const shown = computed(() => {
    const wanted = new Map(choices.value.map(column => [column.key, column]))
    // In the order chosen; what a newer build no longer knows is passed over.
    const columns = chosen.value.flatMap(name => wanted.get(name) ?? [])
    return [...first, ...columns.map((column, at) => ({ ...column, wide: column.wide ?? at > 3 }))]
  })
  return { choices, chosen, shown }
}

function read(key: string): string[] | undefined {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(key) ?? 'null')
    return Array.isArray(value) && value.every(name => typeof name === 'string') ? value : undefined
  } catch {
    return undefined
  }
}
