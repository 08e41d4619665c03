// Yjs with Hocuspocus: a document for each record, so that a device can hold a part of the register.
import { createHash } from 'node:crypto'
import { promises as fs } from 'node:fs'
import { join } from 'node:path'
import { Database } from '@hocuspocus/extension-database'
import { HocuspocusProvider, HocuspocusProviderWebsocket } from '@hocuspocus/provider'
import { Server } from '@hocuspocus/server'
import WebSocket from 'ws'
import * as Y from 'yjs'

export const title = 'Yjs + Hocuspocus 3.4'
export const frames = true

function digest(workload, docs) {
  const hash = createHash('sha256')
  for (const { id } of workload.records) {
    const values = docs.get(id)?.getMap('record').toJSON() ?? {}
    hash.update(id + JSON.stringify(Object.keys(values).sort().map(key => [key, values[key]])))
  }
  return hash.digest('hex')
}

export async function seed({ dir, workload }) {
  for (const { id, fields } of workload.records) {
    const doc = new Y.Doc()
    doc.transact(() => { for (const [key, value] of Object.entries(fields)) doc.getMap('record').set(key, value) })
    await fs.writeFile(join(dir, id), Y.encodeStateAsUpdate(doc))
  }
}

export async function server({ dir, port, workload }) {
  let last = 0
  const database = new Database({
    fetch: ({ documentName }) => fs.readFile(join(dir, documentName)).catch(() => null),
    store: ({ documentName, state }) => fs.writeFile(join(dir, documentName), state),
  })
  const server = new Server({ port, address: '127.0.0.1', quiet: true, onChange: async () => { last = Date.now() }, extensions: [database] })
  await server.listen()
  return { load() {}, digest: () => ({ hash: digest(workload, server.hocuspocus.documents), last }) }
}

export async function device({ port, workload, index }) {
  const docs = new Map()
  let last = 0
  let providers = []
  const firstSync = async () => {
    const start = performance.now()
    const websocketProvider = new HocuspocusProviderWebsocket({ url: `ws://127.0.0.1:${port}`, WebSocketPolyfill: WebSocket, delay: 300, minDelay: 200, maxDelay: 1000, jitter: false })
    await Promise.all(workload.records.map(({ id }) => new Promise(resolve => {
      const document = new Y.Doc()
      docs.set(id, document)
      const provider = new HocuspocusProvider({ websocketProvider, name: id, document, onSynced: resolve })
      provider.attach()
      document.on('update', () => { last = Date.now() })
      providers.push(provider)
    })))
    return (performance.now() - start) / 1000
  }
  return {
    firstSync,
    startFull: firstSync,
    async reconnect() {
      while (!providers.every(provider => provider.synced)) await new Promise(resolve => setTimeout(resolve, 20))
    },
    edit() {
      for (const { record, field, value } of workload.edits[index]) docs.get(workload.records[record].id).getMap('record').set(field, value)
    },
    goOnline() {},
    digest: () => ({ hash: digest(workload, docs), last }),
  }
}
