// The conditions of a list as the API takes them: `population_kind:02,tags:elderly`.
export type Facets = ReadonlyMap<string, string>

export function readFacets(text: string): Facets {
  const parts = text.split(',').flatMap((part): [string, string][] => {
    const at = part.indexOf(':')
    return at > 0 ? [[part.slice(0, at).trim(), part.slice(at + 1).trim()]] : []
  })
  return new Map(parts.filter(([, value]) => value !== ''))
}

/** The text with one condition set, or taken away by an empty value. */
export function withFacet(text: string, name: string, value: string): string {
  const facets = new Map(readFacets(text))
  if (value === '') facets.delete(name)
  else facets.set(name, value)
  return [...facets].map(([key, code]) => `${key}:${code}`).join(',')
}
