// Loading data for a screen: one thing, or pages of a list. Keeps what is shown while it loads anew, and drops answers
// that were overtaken.
import { computed, ref, shallowRef, watch, type ComputedRef, type Ref, type ShallowRef } from 'vue'
import { asProblem, type Problem } from './problem'

export interface Load<T> {
  data: ShallowRef<T | undefined>
  problem: ShallowRef<Problem | undefined>
  loading: Ref<boolean>
  /** Loads anew; what is shown stays meanwhile. */
  reload(): Promise<void>
}

/** Loads now, and again whenever `when` changes. */
export function useLoad<T>(request: () => Promise<T>, when?: () => unknown): Load<T> {
  const data = shallowRef<T>()
  const problem = shallowRef<Problem>()
  const loading = ref(false)
  let turn = 0
  async function reload(): Promise<void> {
    const mine = ++turn
    loading.value = true
    try {
      const answer = await request()
      if (mine !== turn) return
      data.value = answer
      problem.value = undefined
    } catch (cause) {
      if (mine === turn) problem.value = asProblem(cause)
    } finally {
      if (mine === turn) loading.value = false
    }
  }
  if (when) {
    watch(
      when,
      () => {
        data.value = undefined
        void reload()
      },
      { deep: true },
    )
  }
  void reload()
  return { data, problem, loading, reload }
}

/** A page as the server gives it. */
interface Page<T> {
  items: T[]
  next?: string | null
}

export interface Pages<T, P extends Page<T>> {
  items: ShallowRef<T[]>
  /** The newest page as it came, for counts beside the items. */
  page: ShallowRef<P | undefined>
  problem: ShallowRef<Problem | undefined>
  loading: Ref<boolean>
  /** Whether there is a next page. */
  more: ComputedRef<boolean>
  loadMore(): Promise<void>
  /** Loads from the beginning as much as is shown now. */
  reload(): Promise<void>
}

/** Loads the first page now and whenever `when` changes; `loadMore` appends the next. */
export function usePages<P extends Page<unknown>>(
  request: (cursor: string | undefined) => Promise<P>,
  when?: () => unknown,
): Pages<P['items'][number], P> {
  type T = P['items'][number]
  const items = shallowRef<T[]>([])
  const page = shallowRef<P>()
  const problem = shallowRef<Problem>()
  const loading = ref(false)
  let turn = 0
  async function run(work: () => Promise<T[]>): Promise<void> {
    const mine = ++turn
    loading.value = true
    try {
      const all = await work()
      if (mine !== turn) return
      items.value = all
      problem.value = undefined
    } catch (cause) {
      if (mine === turn) problem.value = asProblem(cause)
    } finally {
      if (mine === turn) loading.value = false
    }
  }
  async function next(cursor: string | undefined): Promise<T[]> {
    const answer = await request(cursor)
    page.value = answer
    return answer.items
  }
  const more = computed(() => Boolean(page.value?.next))
  const loadMore = () => run(async () => [...items.value, ...(await next(page.value?.next ?? undefined))])
  const reload = () =>
    run(async () => {
      const wanted = items.value.length
      const all = await next(undefined)
      while (all.length < wanted && page.value?.next) all.push(...(await next(page.value.next)))
      return all
    })
  if (when) {
    watch(
      when,
      () => {
        items.value = []
        page.value = undefined
        void reload()
      },
      { deep: true },
    )
  }
  void reload()
  return { items, page, problem, loading, more, loadMore, reload }
}
