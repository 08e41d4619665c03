// What waits for the user, asked of the server: only what the user's rights let them see.
import { api, ok } from '@/api/client'
import { usePages } from '@/api/load'
import type { CheckView, ConflictList, DeviceView, DueVisit } from '@/api/schema'

/** How many items waited how long, by kind. */
export interface Age {
  code: 'day' | 'three' | 'week' | 'older'
  /** By kind's code. */
  kinds: Map<string, number>
  total: number
}

/** The queue in numbers, and what comes first in it. */
export interface Queue {
  list: ConflictList
  open: number
  overdue: number
  claims: number
  mine: number
  ages: Age[]
}

/** Days after which an item belongs to the next class. */
const STEPS = [1, 3, 7] as const
const CLASSES: Age['code'][] = ['day', 'three', 'week', 'older']

/** The first so many of the queue, and all of it in numbers. */
export async function readQueue(first: number): Promise<Queue> {
  const ask = (query: { older_than_days?: number; assignee?: string; limit: number }) =>
    ok(api.GET('/api/conflicts', { params: { query } }))
  const [list, mine, ...older] = await Promise.all([
    ask({ limit: first }),
    ask({ assignee: 'me', limit: 1 }),
    ...STEPS.map(days => ask({ older_than_days: days, limit: 1 })),
  ])
  const sum = (of: ConflictList, what: 'count' | 'overdue' = 'count') =>
    of.counts.reduce((total, kind) => total + kind[what], 0)
  // Each answer holds those at least so old; a class is what the next one no longer holds.
  const atLeast = [list, ...older].map(answer => new Map(answer.counts.map(kind => [kind.kind, kind.count])))
  const ages = CLASSES.map((code, index): Age => {
    const here = atLeast[index] ?? new Map<string, number>()
    const beyond = atLeast[index + 1]
    const kinds = new Map([...here].map(([kind, count]) => [kind, Math.max(0, count - (beyond?.get(kind) ?? 0))]))
    return { code, kinds, total: [...kinds.values()].reduce((a, b) => a + b, 0) }
  })
  return {
    list,
    open: sum(list),
    overdue: sum(list, 'overdue'),
    claims: list.counts.find(kind => kind.kind === 'main_residence')?.count ?? 0,
    mine: sum(mine),
    ages,
  }
}

interface Page<T> {
  items: T[]
  next?: string | null
}

/** Pages of a list for who may see it; for everyone else there is none, and nothing is asked. */
function pagesFor<T>(may: () => boolean, ask: (query: { limit: number; cursor?: string }) => Promise<Page<T>>) {
  return usePages<Page<T>>(async cursor => (may() ? ask({ limit: 50, ...(cursor ? { cursor } : {}) }) : { items: [] }))
}

/** Devices with something unsent, who has had it longest first. */
export const useUnsent = (may: () => boolean) =>
  pagesFor<DeviceView>(may, query => ok(api.GET('/api/devices', { params: { query: { ...query, unsent: true } } })))

/** Visits whose day has come. */
export const useDue = (may: () => boolean) =>
  pagesFor<DueVisit>(may, query => ok(api.GET('/api/visits/due', { params: { query } })))

/** Checks that nobody answered in time. */
export const useOverdue = (may: () => boolean) =>
  pagesFor<CheckView>(may, query => ok(api.GET('/api/checks', { params: { query: { ...query, overdue: true } } })))
