// The process between devices and server: counts bytes, websocket frames (control frames apart) or HTTP requests, and cuts the line.
import net from 'node:net'
import { serve } from './process.mjs'

const { listen, target, frames } = JSON.parse(process.argv[2])
const open = new Set()
let blocked = false
let counted
const reset = () => { counted = { up: 0, down: 0, framesUp: 0, framesDown: 0, requests: 0, firstAt: 0, lastAt: 0 } }
reset()

/** Follows one direction of a websocket; says whether a piece carried anything but control frames. */
function frameCounter(direction) {
  let rest = Buffer.alloc(0)
  let inHead = true
  let skip = 0
  return piece => {
    rest = rest.length ? Buffer.concat([rest, piece]) : piece
    let data = false
    if (inHead) {
      const end = rest.indexOf('\r\n\r\n')
      if (end < 0) return true
      rest = rest.subarray(end + 4)
      inHead = false
      data = true
    }
    for (;;) {
      const skipped = Math.min(skip, rest.length)
      rest = rest.subarray(skipped)
      skip -= skipped
      if (skip > 0) return true
      if (rest.length < 2) return data
      const masked = rest[1] >> 7
      let length = rest[1] & 127
      let head = 2
      if (length === 126) {
        if (rest.length < 4) return data
        length = rest.readUInt16BE(2)
        head = 4
      } else if (length === 127) {
        if (rest.length < 10) return data
        length = Number(rest.readBigUInt64BE(2))
        head = 10
      }
      head += masked ? 4 : 0
      if (rest.length < head) return data
      if ((rest[0] & 15) < 8) {
        data = true
        counted[direction]++
      }
      rest = rest.subarray(head)
      skip = length
    }
  }
}

function requestCounter(piece) {
  if (/^(GET|POST|PUT|DELETE|HEAD) /.test(piece.toString('latin1', 0, 8))) counted.requests++
  return true
}

function carry(from, to, bytes, count) {
  from.on('data', piece => {
    counted[bytes] += piece.length
    if (count(piece)) counted.lastAt = Date.now()
    if (!to.write(piece)) {
      from.pause()
      to.once('drain', () => from.resume())
    }
  })
}

const server = net.createServer(device => {
  if (blocked) return device.destroy()
  counted.firstAt ||= Date.now()
  const upstream = net.connect(target, '127.0.0.1')
  const end = () => {
    for (const socket of [device, upstream]) {
      socket.destroy()
      open.delete(socket)
    }
  }
  for (const socket of [device, upstream]) {
    socket.setNoDelay(true)
    open.add(socket)
    socket.on('close', end)
    socket.on('error', end)
  }
  carry(device, upstream, 'up', frames ? frameCounter('framesUp') : requestCounter)
  carry(upstream, device, 'down', frames ? frameCounter('framesDown') : () => true)
})

const listening = () => new Promise(resolve => server.listen(listen, '127.0.0.1', 1024, resolve))
await listening()
serve({
  reset,
  counted: () => counted,
  block() {
    blocked = true
    server.close()
    for (const socket of open) socket.destroy()
  },
  unblock() {
    blocked = false
    return listening()
  },
})
