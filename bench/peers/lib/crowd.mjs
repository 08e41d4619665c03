// Many sockets of one process, and times from an edit to where it is seen. Knows no protocol.
import { sleep } from './process.mjs'

const AT_ONCE = 50
/** Of one address: it has ports for some 28,000, and a free one among thousands of taken ones is long looked for. */
const PER_ADDRESS = 2_000
/** What addresses of loopback are enough for: 127.0.0.2 to .254. */
export const MOST_SOCKETS = 253 * PER_ADDRESS

/**
 * A role that opens sockets until there are so many; says how many are open and how long it took. `open` is given a
 * socket's number and its options.
 */
export function growing(open) {
  const sockets = []
  let lost = 0
  return {
    async grow({ to, seconds }) {
      const start = Date.now()
      let next = sockets.length
      let failure
      const late = () => Date.now() - start > seconds * 1000
      await Promise.race([
        sleep(seconds * 1000),
        Promise.all(Array.from({ length: AT_ONCE }, async () => {
          while (next < to && !failure && !late()) {
            const index = next++
            try {
              const localAddress = `127.0.0.${2 + Math.floor(index / PER_ADDRESS)}`
              const socket = await open(index, { perMessageDeflate: false, localAddress })
              socket.on('close', () => { lost++ })
              sockets.push(socket)
            } catch (error) {
              failure = String(error.message)
            }
          }
        })),
      ])
      return { open: sockets.length - lost, seconds: (Date.now() - start) / 1000, failure }
    },
    open: () => sockets.length - lost,
  }
}

/** Makes so many edits one after another; the milliseconds of those that were seen within five seconds. */
export async function seenTimes(count, edit) {
  const times = []
  for (let round = 0; round < count; round++) {
    const start = performance.now()
    const seen = await Promise.race([new Promise(resolve => edit(round, () => resolve(true))), sleep(5000)])
    if (seen) times.push(performance.now() - start)
    await sleep(30)
  }
  return times
}
