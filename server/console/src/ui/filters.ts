// Filters that stay: they live in the address, so that a reload, a link to a colleague and the way back keep them.
import { computed, nextTick, reactive, type WritableComputedRef } from 'vue'
import { useRoute, useRouter, type LocationQuery } from 'vue-router'

type Value = string | boolean | number
type Shape = Record<string, Value>
type Widened<S extends Shape> = {
  -readonly [K in keyof S]: S[K] extends string ? string : S[K] extends boolean ? boolean : number
}

/**
 * `const filters = useFilters({ status: 'open', area: '', overdue: false })`: read and written like an object; what
 * equals its default is left out of the address.
 */
export function useFilters<S extends Shape>(defaults: S): Widened<S> {
  const route = useRoute()
  const router = useRouter()
  let pending: LocationQuery | undefined
  function set(key: string, value: Value): void {
    const text = value === defaults[key] ? undefined : String(value)
    const query = { ...(pending ?? route.query) }
    if (text === undefined || text === '') Reflect.deleteProperty(query, key)
    else query[key] = text
    if (pending === undefined) {
      // Several filters set at once make one step of the address.
      const path = route.path
      void nextTick(() => {
        const next = pending
        pending = undefined
        if (next && route.path === path) void router.replace({ query: next })
      })
    }
    pending = query
  }
  function read(key: string): Value {
    const initial = defaults[key] as Value
    const raw = route.query[key]
    const text = Array.isArray(raw) ? raw[0] : raw
    if (text === undefined || text === null) return initial
    if (typeof initial === 'boolean') return text === 'true'
    if (typeof initial === 'number') return Number.isFinite(Number(text)) ? Number(text) : initial
    return text
  }
  const fields: Record<string, WritableComputedRef<Value>> = {}
  for (const key of Object.keys(defaults)) {
    fields[key] = computed({ get: () => read(key), set: value => set(key, value) })
  }
  return reactive(fields) as unknown as Widened<S>
}

/** The filters that are set, for a request: empty ones and `false` are left out. */
export function given<S extends Shape>(filters: S): { [K in keyof S]?: S[K] } {
  const entries = Object.entries(filters).filter(([, value]) => value !== '' && value !== false)
  return Object.fromEntries(entries) as { [K in keyof S]?: S[K] }
}
