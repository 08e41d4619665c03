// Area codes as the statistical office gives them out: 12 digits, those of the area first, zeros behind.

/** The digits that an area's whole subtree shares. */
export function prefix(code: string): string {
  for (const length of [2, 4, 6, 9]) if (/^0+$/.test(code.slice(length))) return code.slice(0, length)
  return code
}

/** Whether `other` is this area or lies within it. */
export function contains(code: string, other: string): boolean {
  return other.startsWith(prefix(code))
}
