// Yjs with Hocuspocus: a document for each record, so that a device can hold a part of the register.
import { createHash } from 'node:crypto'
import { promises as fs } from 'node:fs'
import { join } from 'node:path'
import { Database } from '@hocuspocus/extension-database'
import { HocuspocusProvider, HocuspocusProviderWebsocket } from '@hocuspocus/provider'
import { Server } from '@hocuspocus/server'
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import WebSocket from 'ws'
import * as Y from 'yjs'
import { growing, seenTimes } from '../lib/crowd.mjs'

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

/** A message of Hocuspocus's protocol: the document's name, then numbers and bytes. */
function message(name, ...parts) {
  const encoder = encoding.createEncoder()
  encoding.writeVarString(encoder, name)
  for (const part of parts) {
    if (typeof part === 'number') encoding.writeVarUint(encoder, part)
    else if (typeof part === 'string') encoding.writeVarString(encoder, part)
    else encoding.writeVarUint8Array(encoder, part)
  }
  return encoding.toUint8Array(encoder)
}
const [SYNC, AUTH, SYNC_REPLY] = [0, 2, 4]
const NOTHING = new Uint8Array([0])

/** Sockets that each follow one document by the protocol as it is spoken, without a whole provider for each. */
export function crowd({ port, workload }) {
  return growing((index, options) => new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, options)
    const { id } = workload.records[index % workload.records.length]
    socket.on('open', () => {
      socket.send(message(id, AUTH, 0, ''))
      socket.send(message(id, SYNC, 0, NOTHING))
    })
    socket.on('message', bytes => {
      const decoder = decoding.createDecoder(new Uint8Array(bytes))
      decoding.readVarString(decoder)
      const type = decoding.readVarUint(decoder)
      if (type !== SYNC && type !== SYNC_REPLY) return
      const step = decoding.readVarUint(decoder)
      if (step === 0) socket.send(message(id, SYNC, 1, new Uint8Array([0, 0])))
      if (step === 1) resolve(socket)
    })
    socket.on('close', () => reject(new Error('closed')))
    socket.on('error', reject)
  }))
}

/** Two whole clients: what one writes, the other sees. */
export async function pair({ port, workload }) {
  const some = { ...workload, records: workload.records.slice(0, 50) }
  const open = async () => {
    const docs = new Map()
    const websocketProvider = new HocuspocusProviderWebsocket({ url: `ws://127.0.0.1:${port}`, WebSocketPolyfill: WebSocket })
    await Promise.all(some.records.map(({ id }) => new Promise(resolve => {
      const document = new Y.Doc()
      docs.set(id, document)
      new HocuspocusProvider({ websocketProvider, name: id, document, onSynced: resolve }).attach()
    })))
    return docs
  }
  const [writer, watcher] = [await open(), await open()]
  return {
    run: count => seenTimes(count, (round, seen) => {
      const { id } = some.records[round % some.records.length]
      const [from, to] = [writer, watcher].map(docs => docs.get(id))
      const value = `改${round}`
      const look = () => {
        if (to.getMap('record').get('remark') !== value) return
        to.off('update', look)
        seen()
      }
      to.on('update', look)
      from.getMap('record').set('remark', value)
    }),
  }
}
