// A picture in 256 colours: a third of the bytes, and no eye sees it on a screen's flat colours. Reads what Chromium
// writes (8 bits, RGB or RGBA, not interlaced) and writes an indexed PNG (W3C PNG, third edition).
import { deflateSync, inflateSync } from 'node:zlib'
import { SIGNATURE, chunk } from './picture'

interface Pixels {
  width: number
  height: number
  /** 0xRRGGBB of each. */
  colours: Uint32Array
}

function read(png: Buffer): Pixels {
  let at = SIGNATURE.length
  let head: Buffer = Buffer.alloc(0)
  const data: Buffer[] = []
  while (at < png.length) {
    const length = png.readUInt32BE(at)
    const type = png.toString('latin1', at + 4, at + 8)
    const body = png.subarray(at + 8, at + 8 + length)
    if (type === 'IHDR') head = body
    if (type === 'IDAT') data.push(body)
    at += length + 12
  }
  const [width, height, channels] = [head.readUInt32BE(0), head.readUInt32BE(4), head[9] === 6 ? 4 : 3]
  const raw = inflateSync(Buffer.concat(data))
  const line = width * channels
  const colours = new Uint32Array(width * height)
  let above: Buffer = Buffer.alloc(line)
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (line + 1)] ?? 0
    const own = Buffer.from(raw.subarray(y * (line + 1) + 1, (y + 1) * (line + 1)))
    for (let x = 0; x < line; x++) {
      const left = x >= channels ? (own[x - channels] ?? 0) : 0
      const up = above[x] ?? 0
      const corner = x >= channels ? (above[x - channels] ?? 0) : 0
      own[x] = ((own[x] ?? 0) + predicted(filter, left, up, corner)) & 0xff
    }
    for (let x = 0; x < width; x++) colours[y * width + x] = own.readUIntBE(x * channels, 3)
    above = own
  }
  return { width, height, colours }
}

function predicted(filter: number, left: number, up: number, corner: number): number {
  if (filter === 1) return left
  if (filter === 2) return up
  if (filter === 3) return (left + up) >> 1
  if (filter !== 4) return 0
  const guess = left + up - corner
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)]
  return a <= b && a <= c ? left : b <= c ? up : corner
}

/** The picture with its 256 commonest colours; every other one becomes the nearest of them. */
export function paletted(png: Buffer): Buffer {
  const { width, height, colours } = read(png)
  const counts = new Map<number, number>()
  for (const colour of colours) counts.set(colour, (counts.get(colour) ?? 0) + 1)
  const kept = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 256)
  const palette = kept.map(([colour]) => colour)
  const index = new Map(palette.map((colour, at) => [colour, at]))
  const parts = (colour: number) => [colour >> 16, (colour >> 8) & 0xff, colour & 0xff] as const
  const nearest = (colour: number): number => {
    const [r, g, b] = parts(colour)
    let best = 0
    let least = Infinity
    for (const [at, other] of palette.entries()) {
      const [x, y, z] = parts(other)
      const distance = (r - x) ** 2 + (g - y) ** 2 + (b - z) ** 2
      if (distance < least) [best, least] = [at, distance]
    }
    index.set(colour, best)
    return best
  }
  const lines = Buffer.alloc(height * (width + 1))
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const colour = colours[y * width + x] ?? 0
      lines[y * (width + 1) + 1 + x] = index.get(colour) ?? nearest(colour)
    }
  }
  const head = Buffer.alloc(13)
  head.writeUInt32BE(width, 0)
  head.writeUInt32BE(height, 4)
  head.set([8, 3, 0, 0, 0], 8)
  const table = Buffer.from(palette.flatMap(parts))
  const body = deflateSync(lines, { level: 9 })
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', head),
    chunk('PLTE', table),
    chunk('IDAT', body),
    chunk('IEND', Buffer.alloc(0)),
  ])
}
