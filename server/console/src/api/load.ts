// Loading data for a screen: one thing, or pages of a list. Keeps what is shown while it loads anew, and drops answers
// that were overtaken.
import { computed, ref, shallowRef, watch, type ComputedRef, type Ref, type ShallowRef } from 'vue'
import type { Place } from '@/ui/place'
import { asProblem, type Problem } from './problem'

export interface Load<T> {
  data: ShallowRef<T | undefined>
  problem: ShallowRef<Problem | undefined>
  loading: Ref<boolean>
  /** Loads anew; what is shown stays meanwhile. */
  reload(): Promise<void>
}

/**
 * Loads now, and again whenever `when` changes. As long as it `waits`, because nobody sees it, nothing is asked for: what
 * would have been asked for is asked for once, when it no longer does.
 */
export function useLoad<T>(request: () => Promise<T>, when?: () => unknown, waits?: () => boolean): Load<T> {
  const data = shallowRef<T>()
  const problem = shallowRef<Problem>()
  const loading = ref(false)
  let turn = 0
  let owed = false
  async function reload(): Promise<void> {
    const mine = ++turn
    loading.value = true
    owed = waits?.() ?? false
    if (owed) return
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
  if (waits) {
    watch(waits, now => {
      if (!now && owed) void reload()
    })
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
  /** What a table of them is bound to: `<DataTable v-bind="list">`. */
  list: ComputedRef<List<T>>
}

export interface List<T> {
  rows: T[]
  loading: boolean
  problem: Problem | undefined
  more: boolean
  place: Place | undefined
  onRetry: () => Promise<void>
  onMore: () => Promise<void>
}

/**
 * Loads the first page now and whenever `when` changes; `loadMore` appends the next. With `keep` what is shown stays
 * until the new first page is there: for lists that are searched as one types. With a `place` one comes back to as many
 * pages as were there.
 */
export function usePages<P extends Page<unknown>>(
  request: (cursor: string | undefined) => Promise<P>,
  when?: () => unknown,
  { keep = false, place }: { keep?: boolean; place?: Place } = {},
): Pages<P['items'][number], P> {
  type T = P['items'][number]
  const items = shallowRef<T[]>([])
  const page = shallowRef<P>()
  const problem = shallowRef<Problem>()
  const loading = ref(false)
  let turn = 0
  /** What one comes back to, until it is there. */
  let wanted = place?.count ?? 0
  let newest = Promise.resolve()
  /** Is done when the list is at least as new as now. */
  function run(work: () => Promise<{ all: T[]; last: P }>): Promise<void> {
    newest = attempt(work)
    return newest
  }
  async function attempt(work: () => Promise<{ all: T[]; last: P }>): Promise<void> {
    const mine = ++turn
    loading.value = true
    try {
      const { all, last } = await work()
      // Overtaken: neither its items nor where it ended are those of the list any more.
      if (mine !== turn) return await newest
      items.value = all
      page.value = last
      wanted = 0
      problem.value = undefined
    } catch (cause) {
      if (mine !== turn) return await newest
      problem.value = asProblem(cause)
    } finally {
      if (mine === turn) loading.value = false
    }
  }
  const more = computed(() => Boolean(page.value?.next))
  const loadMore = () =>
    run(async () => {
      const last = await request(page.value?.next ?? undefined)
      return { all: [...items.value, ...last.items], last }
    })
  const load = (least: number) =>
    run(async () => {
      let last = await request(undefined)
      const all = [...last.items]
      while (all.length < least && last.next) {
        last = await request(last.next)
        all.push(...last.items)
      }
      return { all, last }
    })
  const reload = () => load(Math.max(items.value.length, wanted))
  if (when) {
    watch(
      when,
      () => {
        if (!keep) {
          items.value = []
          page.value = undefined
        }
        wanted = 0
        void load(0)
      },
      { deep: true },
    )
  }
  void reload()
  const list = computed(() => ({
    rows: items.value,
    loading: loading.value,
    problem: problem.value,
    more: more.value,
    place,
    onRetry: reload,
    onMore: loadMore,
  }))
  return { items, page, problem, loading, more, loadMore, reload, list }
}
