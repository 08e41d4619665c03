// What waits for the user, asked of the server: only what the user's rights let them see.
import { api, ok } from '@/api/client'
import type { CheckView, ConflictList, DeviceView, DueVisit } from '@/api/schema'

/** How many items waited how long, by kind. */
export interface Age {
  code: 'day' | 'three' | 'week' | 'older'
  /** By kind's code. */
  kinds: Map<string, number>
  total: number
}

export interface Waiting {
  queue?: { list: ConflictList; open: number; overdue: number; claims: number; mine: number; ages: Age[] }
  devices?: { items: DeviceView[]; more: boolean }
  due?: { items: DueVisit[]; more: boolean }
  /** Checks that nobody answered in time. */
  checks?: { items: CheckView[]; more: boolean }
}

/** Days after which an item belongs to the next class. */
const STEPS = [1, 3, 7] as const
const CLASSES: Age['code'][] = ['day', 'three', 'week', 'older']

export async function readWaiting(may: (permission: string) => boolean): Promise<Waiting> {
  const supervises = may('register.read') && may('conflicts.read')
  const [queue, devices, due, checks] = await Promise.all([
    may('conflicts.read') ? readQueue() : undefined,
    may('devices.read') ? readDevices() : undefined,
    supervises ? readDue() : undefined,
    supervises ? readChecks() : undefined,
  ])
  return {
    ...(queue && { queue }),
    ...(devices && { devices }),
    ...(due && { due }),
    ...(checks && { checks }),
  }
}

async function readQueue(): Promise<NonNullable<Waiting['queue']>> {
  const ask = (query: { older_than_days?: number; assignee?: string; limit: number }) =>
    ok(api.GET('/api/conflicts', { params: { query } }))
  const [list, mine, ...older] = await Promise.all([
    ask({ limit: 6 }),
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

async function readDevices(): Promise<NonNullable<Waiting['devices']>> {
  const page = await ok(api.GET('/api/devices', { params: { query: { unsent: true, limit: 50 } } }))
  const since = (device: DeviceView) => device.unsent_since ?? ''
  return { items: page.items.toSorted((a, b) => since(a).localeCompare(since(b))), more: Boolean(page.next) }
}

async function readDue(): Promise<NonNullable<Waiting['due']>> {
  const page = await ok(api.GET('/api/visits/due', { params: { query: { limit: 50 } } }))
  return { items: page.items, more: Boolean(page.next) }
}

async function readChecks(): Promise<NonNullable<Waiting['checks']>> {
  const page = await ok(api.GET('/api/checks', { params: { query: { overdue: true, limit: 50 } } }))
  return { items: page.items, more: Boolean(page.next) }
}
