// Names of areas, kept once read: they hardly change while a page is open.
import { api, ok } from './client'
import type { Area } from './schema'

export interface AreaNode {
  code: string
  name: string
  /** Nothing lies below it. */
  leaf: boolean
}

const names = new Map<string, Promise<string>>()

/** An area's name; its code when it can't be read. */
export function areaName(code: string): Promise<string> {
  const held = names.get(code)
  if (held) return held
  const asked = ok(api.GET('/api/areas/{area_code}', { params: { path: { area_code: code } } })).then(
    area => area.name,
    () => {
      names.delete(code)
      return code
    },
  )
  names.set(code, asked)
  return asked
}

/** The areas right below one. */
export async function areasBelow(parent: string): Promise<AreaNode[]> {
  const found: Area[] = []
  let cursor: string | undefined
  do {
    const query = { parent, limit: 500, ...(cursor ? { cursor } : {}) }
    const page = await ok(api.GET('/api/areas', { params: { query } }))
    found.push(...page.items)
    cursor = page.next ?? undefined
  } while (cursor)
  for (const area of found) names.set(area.code, Promise.resolve(area.name))
  return found.map(area => ({ code: area.code, name: area.name, leaf: area.level === 'village' }))
}

/** Forgets what was read: the tree changed. */
export function forgetAreas(): void {
  names.clear()
}
