// automerge-repo as its sync server runs it (websocket, files, no sharing unasked): a document for each record.
import { createHash } from 'node:crypto'
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as A from '@automerge/automerge'
import { ImmutableString, Repo, cbor, parseAutomergeUrl } from '@automerge/automerge-repo'
import { NodeWSServerAdapter, WebSocketClientAdapter } from '@automerge/automerge-repo-network-websocket'
import { NodeFSStorageAdapter } from '@automerge/automerge-repo-storage-nodefs'
import { WebSocket, WebSocketServer } from 'ws'
import { growing, seenTimes } from '../lib/crowd.mjs'

export const title = 'automerge-repo 2.5.6'
export const frames = true

const AT_ONCE = 32 // asking for all 4,000 documents at once is slower
// Strings as scalars: what a register's fields are, and far cheaper than collaborative text.
const scalar = value => (typeof value === 'string' ? new ImmutableString(value) : value)
const digest = handles => createHash('sha256').update(handles.map(h => h.documentId + [...h.heads()].sort().join()).join()).digest('hex')
const urlsFile = dir => join(dir, 'urls.json')
const urls = dir => JSON.parse(readFileSync(urlsFile(dir), 'utf8'))

async function findAll(repo, wanted) {
  const handles = []
  let next = 0
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (next < wanted.length) {
      const index = next++
      handles[index] = await repo.find(wanted[index])
    }
  }))
  return handles
}

export async function seed({ dir, workload }) {
  const repo = new Repo({ storage: new NodeFSStorageAdapter(join(dir, 'store')), peerId: 'seed' })
  const made = workload.records.map(({ fields }) => repo.create(Object.fromEntries(Object.entries(fields).map(([k, v]) => [k, scalar(v)]))).url)
  await repo.flush()
  writeFileSync(urlsFile(dir), JSON.stringify(made))
}

export async function server({ dir, port }) {
  const sockets = new WebSocketServer({ port, host: '127.0.0.1', backlog: 2048 })
  await new Promise(resolve => sockets.on('listening', resolve))
  const repo = new Repo({ network: [new NodeWSServerAdapter(sockets)], storage: new NodeFSStorageAdapter(join(dir, 'store')), peerId: 'server', sharePolicy: async () => false })
  let handles
  let last = 0
  const load = async () => {
    if (handles) return
    handles = await findAll(repo, urls(dir))
    for (const handle of handles) handle.on('heads-changed', () => { last = Date.now() })
  }
  return { load, digest: async () => ({ hash: (await load(), digest(handles)), last }) }
}

export async function device({ dir, port, workload, index }) {
  let repo
  let handles
  let last = 0
  const watch = () => { for (const handle of handles) handle.on('heads-changed', () => { last = Date.now() }) }
  const network = () => [new WebSocketClientAdapter(`ws://127.0.0.1:${port}`, 1000)]
  return {
    async firstSync() {
      const start = performance.now()
      repo = new Repo({ network: network(), peerId: `device${index}-${process.pid}` })
      // The adapter calls itself ready after a second, connected or not; asked then, nobody has the documents.
      if (repo.peers.length === 0) await new Promise(resolve => repo.networkSubsystem.once('peer', resolve))
      handles = await findAll(repo, urls(dir))
      const seconds = (performance.now() - start) / 1000
      watch()
      return seconds
    },
    // The network adapter keeps trying by itself.
    reconnect() {},
    /** Starts with the server's files instead of a first sync; the line is cut, so the adapter only keeps trying. */
    async startFull() {
      const own = join(dir, `device${index}`)
      cpSync(join(dir, 'store'), own, { recursive: true })
      rmSync(join(own, 'st'), { recursive: true, force: true }) // what the server remembers of its peers
      repo = new Repo({ network: network(), storage: new NodeFSStorageAdapter(own), peerId: `device${index}` })
      handles = await findAll(repo, urls(dir))
      watch()
    },
    edit() {
      for (const { record, field, value } of workload.edits[index]) handles[record].change(doc => { doc[field] = scalar(value) })
    },
    goOnline() {},
    digest: () => ({ hash: digest(handles), last }),
  }
}

/**
 * Sockets that each follow one document by the protocol as it is spoken, without a whole repo for each: what they hold is
 * shared, so the memory measured is the server's alone.
 */
export function crowd({ dir, port }) {
  const ids = urls(dir).map(url => parseAutomergeUrl(url).documentId)
  const docs = new Map()
  const say = (socket, type = 'sync') => {
    if (!docs.has(socket.id)) docs.set(socket.id, A.init())
    const [state, data] = A.generateSyncMessage(docs.get(socket.id), socket.state)
    socket.state = state
    if (data) socket.send(cbor.encode({ type, senderId: socket.me, targetId: 'server', documentId: socket.id, data }))
  }
  return growing((index, options) => new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, options)
    Object.assign(socket, { me: `crowd-${index}`, id: ids[index % ids.length], state: A.initSyncState() })
    socket.on('open', () => socket.send(cbor.encode({ type: 'join', senderId: socket.me, peerMetadata: { isEphemeral: true }, supportedProtocolVersions: ['1'] })))
    socket.on('message', bytes => {
      const message = cbor.decode(bytes)
      if (message.type === 'peer') say(socket, 'request')
      if (message.type !== 'sync') return
      const [doc, state] = A.receiveSyncMessage(docs.get(socket.id), socket.state, message.data)
      docs.set(socket.id, doc)
      socket.state = state
      say(socket)
      if (A.getHeads(doc).length) resolve(socket)
    })
    socket.on('close', () => reject(new Error('closed')))
    socket.on('error', reject)
  }))
}

/** Two whole clients: what one writes, the other sees. */
export async function pair({ dir, port }) {
  const open = async name => {
    const repo = new Repo({ network: [new WebSocketClientAdapter(`ws://127.0.0.1:${port}`, 1000)], peerId: `${name}-${process.pid}` })
    if (repo.peers.length === 0) await new Promise(resolve => repo.networkSubsystem.once('peer', resolve))
    return findAll(repo, urls(dir).slice(0, 50))
  }
  const [writer, watcher] = [await open('writer'), await open('watcher')]
  return {
    run: count => seenTimes(count, (round, seen) => {
      const [from, to] = [writer, watcher].map(handles => handles[round % handles.length])
      const value = `改${round}`
      const look = () => {
        if (String(to.doc().remark) !== value) return
        to.off('change', look)
        seen()
      }
      to.on('change', look)
      from.change(doc => { doc.remark = scalar(value) })
    }),
  }
}
