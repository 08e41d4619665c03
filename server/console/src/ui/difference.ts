// What differs between two short texts, character by character: a longest common subsequence.
export interface Piece {
  text: string
  changed: boolean
}

/** `value` in pieces, those marked that `base` doesn't have. */
export function pieces(base: string, value: string): Piece[] {
  const [from, to] = [[...base], [...value]]
  // Longer texts are shown whole: a picture of letters helps nobody there.
  if (from.length * to.length > 250_000) return [{ text: value, changed: base !== value }]
  const width = to.length + 1
  const lengths = new Uint16Array((from.length + 1) * width)
  const at = (i: number, j: number) => lengths[i * width + j] ?? 0
  for (let i = from.length - 1; i >= 0; i--) {
    for (let j = to.length - 1; j >= 0; j--) {
      lengths[i * width + j] = from[i] === to[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
    }
  }
  const found: Piece[] = []
  const add = (text: string, changed: boolean) => {
    const last = found.at(-1)
    if (last?.changed === changed) last.text += text
    else found.push({ text, changed })
  }
  let i = 0
  for (let j = 0; j < to.length;) {
    if (i < from.length && from[i] === to[j]) {
      add(to[j] ?? '', false)
      i++
      j++
    } else if (i < from.length && at(i + 1, j) >= at(i, j + 1)) i++
    else add(to[j++] ?? '', true)
  }
  return found
}
