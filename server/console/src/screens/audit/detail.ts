// The detail of an entry in words: fields and codes by the declarations, the rest by the texts. What stands masked or by
// id in the log stays so.
import type { AuditEntryView, RoleView } from '@/api/schema'
import type { Declared } from '@/records/declared'
import { auditDetail as texts } from '@/texts/audit-detail'
import { common } from '@/texts/common'
import { count, time } from '@/ui/format'

/** A thing that a line names by its id. */
export interface Thing {
  kind: string
  id: string
}

export interface Line {
  key: string
  label: string
  text?: string
  /** An area's code, to be shown by name. */
  area?: string
  things?: Thing[]
  /** Set in equal widths: an id, a digest. */
  mono?: boolean
}

/** What the words need beside the texts. */
export interface Known {
  declared: Declared
  roles: RoleView[]
}

/** Keys whose values are ids of things. */
const THINGS: Record<string, string> = { record: 'record', residence: 'record', created: 'record', assignee: 'user' }
const TIMES = ['due_at', 'made_at', 'minute']
/** Where nothing means something. */
const ABSENT: Record<string, string> = { ends_on: texts.forever, assignee: texts.nobody, version: texts.none }
const ID = /^[0-9a-f]{8}-[0-9a-f-]{27}$|^[0-9a-f]{64}$/

export function lines(entry: AuditEntryView, known: Known): Line[] {
  return Object.entries(asObject(entry.detail)).map(([key, value]) => line(key, value, known))
}

function asObject(detail: unknown): object {
  return typeof detail === 'object' && detail !== null ? detail : {}
}

function line(key: string, value: unknown, known: Known): Line {
  const label = texts.keys[key] ?? key
  if (key === 'status' && typeof value === 'number') return { key, label: texts.answered, text: refusal(value) }
  if (value === null || value === undefined) return { key, label, text: ABSENT[key] ?? texts.nothing }
  if (key === 'area' && typeof value === 'string') return { key, label, area: value }
  const kind = THINGS[key]
  if (kind) {
    const things = (Array.isArray(value) ? value : [value]).map(id => ({ kind, id: String(id) }))
    return things.length > 0 ? { key, label, things } : { key, label, text: texts.nothing }
  }
  const text = Array.isArray(value)
    ? value.map(one => word(key, one, known)).join('、') || texts.nothing
    : word(key, value, known)
  return { key, label, text, mono: ID.test(text) }
}

function word(key: string, value: unknown, { declared, roles }: Known): string {
  if (typeof value === 'boolean') return value ? common.yes : common.no
  if (typeof value === 'number') return texts.units[key]?.(count(value)) ?? count(value)
  if (typeof value !== 'string') return JSON.stringify(value)
  if (TIMES.includes(key)) return time(value)
  if (key === 'role') return roles.find(role => role.role === value)?.label ?? value
  if (key === 'fields' || key === 'field') return declared.fieldLabel(value) ?? value
  if (key === 'type' || key === 'record_type') return declared.typeLabel(value) ?? value
  return texts.values[key]?.[value] ?? (key === 'code' ? declared.alarmLabel(value) : value)
}

function refusal(status: number): string {
  return texts.refusal(texts.refusals[status] ?? texts.failure, status)
}
