// What a person had typed when their session ended, in this tab's memory and nowhere else: given back when the same
// person signs in again here, forgotten when anyone else does.
import type { Me } from '@/api/schema'

let owner: string | undefined
const things = new Map<string, unknown>()

/** Keeps a person's thing under a name. */
export function keep(user: string, name: string, thing: unknown): void {
  belongTo(user)
  things.set(name, thing)
}

/** Gives a thing back, once. */
export function takeBack<T>(name: string): T | undefined {
  const thing = things.get(name) as T | undefined
  things.delete(name)
  return thing
}

export function isKept(name: string): boolean {
  return things.has(name)
}

/** Whoever is here now: what another left is forgotten. */
export function belongTo(user: Me['id'] | undefined): void {
  if (user !== owner) things.clear()
  owner = user
}
