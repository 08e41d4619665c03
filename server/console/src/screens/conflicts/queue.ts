// What the list and the item beside it share: which items there are, which comes next, what was decided last.
import { inject, type ComputedRef, type InjectionKey, type Ref } from 'vue'
import type { ConflictView } from '@/api/schema'

export interface Queue {
  items: ComputedRef<ConflictView[]>
  /** The list is asked anew. */
  reload(): Promise<void>
  /** The last item decided here: what `u` takes back. */
  lastDecided: Ref<string | undefined>
  /** It was asked to be taken back; its page asks once more. */
  undoing: Ref<boolean>
  /** Goes to the last item decided, to take it back there: one sees what one undoes. */
  backToLast(): void
  /** Goes to the item that follows one that was just decided. */
  leave(id: string): Promise<void>
}

export const QUEUE: InjectionKey<Queue> = Symbol('queue')

export function useQueue(): Queue {
  const queue = inject(QUEUE)
  if (!queue) throw new Error('an item is shown beside its queue')
  return queue
}
