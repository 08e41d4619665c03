// Reads the server's metrics (Prometheus' text form), and what of them is worth a look.

export interface Sample {
  name: string
  labels: Record<string, string>
  value: number
}

/** Every sample of the text; comments and what is no sample are passed over. */
export function samples(text: string): Sample[] {
  const found: Sample[] = []
  for (const line of text.split('\n')) {
    const parts = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/.exec(line)
    if (!parts?.[1] || !parts[3]) continue
    const labels: Record<string, string> = {}
    for (const [, key, value] of (parts[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
      if (key !== undefined && value !== undefined) labels[key] = value
    }
    const value = parts[3] === '+Inf' ? Infinity : Number(parts[3])
    if (!Number.isNaN(value)) found.push({ name: parts[1], labels, value })
  }
  return found
}

/** The sum of a metric over its labels. */
export function sum(
  all: Sample[],
  name: string,
  fits: (labels: Record<string, string>) => boolean = () => true,
): number {
  return all.filter(one => one.name === name && fits(one.labels)).reduce((total, one) => total + one.value, 0)
}

/** A metric by one of its labels, without noughts, the largest first. */
export function by(all: Sample[], name: string, label: string): [string, number][] {
  const counts = new Map<string, number>()
  for (const one of all) {
    if (one.name !== name || one.value === 0) continue
    const key = one.labels[label] ?? ''
    counts.set(key, (counts.get(key) ?? 0) + one.value)
  }
  return [...counts].sort((a, b) => b[1] - a[1])
}

/** The upper bound (seconds) below which so great a part of a histogram lies; none when it is empty. */
export function quantile(all: Sample[], name: string, part: number): number | undefined {
  const bounds = new Map<number, number>()
  for (const one of all) {
    if (one.name !== `${name}_bucket`) continue
    const bound = one.labels['le'] === '+Inf' ? Infinity : Number(one.labels['le'])
    bounds.set(bound, (bounds.get(bound) ?? 0) + one.value)
  }
  const sorted = [...bounds].sort((a, b) => a[0] - b[0])
  const total = sorted.at(-1)?.[1] ?? 0
  return total === 0 ? undefined : sorted.find(([, count]) => count >= total * part)?.[0]
}
