// Which of a page's tables the keys mean: the one that has the focus; while none has it, the first one on the page.
import { onMounted, onScopeDispose, type Ref } from 'vue'

const tables = new Set<Readonly<Ref<HTMLElement | null>>>()

/** Whether it is this table's turn. Held until the caller's component goes. */
export function useTurn(table: Readonly<Ref<HTMLElement | null>>): () => boolean {
  onMounted(() => tables.add(table))
  onScopeDispose(() => tables.delete(table))
  return () => table.value !== null && turnOf() === table.value
}

function turnOf(): HTMLElement | undefined {
  const shown = [...tables].flatMap(({ value }) => (value?.checkVisibility() ? [value] : []))
  const focused = shown.find(table => table.contains(document.activeElement))
  return (
    focused ??
    shown.reduce<HTMLElement | undefined>(
      (first, table) => (first && isBefore(first, table) ? first : table),
      undefined,
    )
  )
}

function isBefore(one: HTMLElement, other: HTMLElement): boolean {
  return (one.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING) !== 0
}
