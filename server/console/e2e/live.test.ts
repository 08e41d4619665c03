// The stream of notices, without a browser: one that says nothing any more is taken up anew.
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from '@playwright/test'
import { effectScope } from 'vue'
import { connected, useHappening, useLive } from '../src/live/live'

test('a stream that falls silent is cut off and taken up anew, and what holds is asked for', async () => {
  const streams: ServerResponse[] = []
  const server = createServer((_, answer) => {
    answer.writeHead(200, { 'content-type': 'text/event-stream' })
    answer.write('event: ready\ndata: {}\n\n')
    streams.push(answer)
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  const fetched = globalThis.fetch
  globalThis.fetch = (path, init) => fetched(`http://127.0.0.1:${port}${String(path)}`, init)
  const scope = effectScope()
  let ready = 0
  try {
    scope.run(() => {
      useHappening('ready', () => ready++)
      useLive(400)
    })
    await expect.poll(() => connected.value).toBe(true)
    // Kept alive by comments, it stands for longer than the silence that ends it.
    const alive = setInterval(() => streams[0]?.write(':\n\n'), 100)
    await new Promise(done => setTimeout(done, 1200))
    expect(streams.length).toBe(1)
    expect(ready).toBe(1)
    clearInterval(alive)
    await expect.poll(() => connected.value).toBe(false)
    await expect.poll(() => streams.length).toBe(2)
    await expect.poll(() => ready).toBe(2)
  } finally {
    scope.stop()
    globalThis.fetch = fetched
    server.closeAllConnections()
    server.close()
  }
})
