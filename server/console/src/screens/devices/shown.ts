// How a device's state and what it has not sent are shown.
import type { DeviceView } from '@/api/schema'

/** The colour that goes with a state. */
export const KINDS = { active: 'good', revoked: 'plain', wipe_ordered: 'warn', wiped: 'plain' } as const

/** Days after which edits that were not sent are worth a warning. */
const LATE = 3

/** How worrying what it has not sent is. */
export function worry(device: DeviceView): 'plain' | 'warn' | 'bad' {
  if (device.unsent === 0 || !device.unsent_since) return 'plain'
  const days = (Date.now() - new Date(device.unsent_since).getTime()) / 86_400_000
  return days >= LATE ? 'bad' : 'warn'
}

/** Whether it has not said yet that it purged what its user may no longer hold; a stopped one is past asking. */
export function owesPurge(device: DeviceView): boolean {
  return device.status === 'active' && Boolean(device.purge_owed_since)
}
