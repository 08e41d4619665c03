// What records consist of, as the server declares it: labels, sections, kinds, codes; and what the audit log calls what
// is done. Read once for the page's life.
import { api, ok } from '@/api/client'
import { useLoad, type Load } from '@/api/load'
import type { CodeEntry, Declarations, DeclaredAction, DeclaredAlarm, DeclaredField, DeclaredType } from '@/api/schema'

/** A type with its fields by name. */
export interface Type extends DeclaredType {
  byName: ReadonlyMap<string, DeclaredField>
}

export class Declared {
  private readonly types: ReadonlyMap<string, Type>
  private readonly tables: ReadonlyMap<string, { codes: CodeEntry[]; labels: ReadonlyMap<string, string> }>

  /** What can stand in the audit log. */
  readonly actions: DeclaredAction[]
  /** What devices may do that raises an alarm. */
  readonly alarms: DeclaredAlarm[]
  private readonly actionLabels: ReadonlyMap<string, string>

  constructor(from: Declarations) {
    this.actions = from.actions
    this.alarms = from.alarms
    this.actionLabels = new Map(from.actions.map(action => [action.code, action.label]))
    const byName = (fields: DeclaredField[]) => new Map(fields.map(field => [field.name, field]))
    this.types = new Map(from.types.map(type => [type.name, { ...type, byName: byName(type.fields) }]))
    this.tables = new Map(
      from.tables.map(table => [
        table.name,
        { codes: table.codes, labels: new Map(table.codes.map(entry => [entry.code, entry.label])) },
      ]),
    )
  }

  type(name: string): Type {
    const type = this.types.get(name)
    if (!type) throw new Error(`no declaration of ${name}`)
    return type
  }

  /** What a type is called; none, where there is no such type. */
  typeLabel(name: string): string | undefined {
    return this.types.get(name)?.label
  }

  /** What a field is called, where only its name is known: fields of one name are called alike. */
  fieldLabel(name: string): string | undefined {
    return [...this.types.values()].map(type => type.byName.get(name)?.label).find(label => label !== undefined)
  }

  /** What something done is called; its code, where an older server wrote one that is no longer known. */
  actionLabel(code: string): string {
    return this.actionLabels.get(code) ?? code
  }

  /** What a device did that raised an alarm; its code, where an older server wrote one that is no longer known. */
  alarmLabel(code: string): string {
    return this.alarms.find(kind => kind.code === code)?.label ?? code
  }

  /** What a code means; the code itself, where the table doesn't know it. */
  label(table: string, code: string): string {
    return this.tables.get(table)?.labels.get(code) ?? code
  }

  /** The codes that a form offers. */
  offered(table: string): CodeEntry[] {
    return this.tables.get(table)?.codes.filter(entry => !entry.retired) ?? []
  }
}

let held: Promise<Declared> | undefined

export function declarations(): Promise<Declared> {
  held ??= ok(api.GET('/api/declarations')).then(
    from => new Declared(from),
    (cause: unknown) => {
      held = undefined
      throw cause
    },
  )
  return held
}

export function useDeclared(): Load<Declared> {
  return useLoad(declarations)
}
