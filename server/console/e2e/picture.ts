// Pictures for the town's photos: a door in a wall, drawn, as a PNG (W3C PNG, third edition).
import { crc32, deflateSync } from 'node:zlib'

const WIDTH = 320
const HEIGHT = 240

/** What every PNG begins with. */
export const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])

/** A picture of its own for each seed. */
export function picture(seed: number): Buffer {
  const lines = Buffer.alloc(HEIGHT * (1 + WIDTH * 3))
  const tint = (seed * 53) % 120
  for (let y = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH; x++) {
      const door = x > 110 && x < 210 && y > 50
      const knob = Math.hypot(x - 196, y - 150) < 6
      const brick = y % 24 < 2 || (x + (Math.floor(y / 24) % 2) * 20) % 40 < 2
      const colour = knob
        ? [230, 200, 90]
        : door
          ? [60 + tint, 90, 70]
          : brick
            ? [150, 140, 130]
            : [190, 170 - tint / 4, 150]
      lines.set(colour, y * (1 + WIDTH * 3) + 1 + x * 3)
    }
  }
  const head = Buffer.alloc(13)
  head.writeUInt32BE(WIDTH, 0)
  head.writeUInt32BE(HEIGHT, 4)
  head.set([8, 2, 0, 0, 0], 8)
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', head),
    chunk('IDAT', deflateSync(lines)),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

/** A part of a PNG: its length, type, data and checksum. */
export function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const whole = Buffer.alloc(body.length + 8)
  whole.writeUInt32BE(data.length, 0)
  whole.set(body, 4)
  whole.writeUInt32BE(crc32(body), body.length + 4)
  return whole
}
