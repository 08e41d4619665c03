// PouchDB against its own server (express-pouchdb on LevelDB): CouchDB's replication, a document for each record.
import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import http from 'node:http'
import { join } from 'node:path'

const require = createRequire(import.meta.url)
const PouchDB = require('pouchdb')

export const title = 'PouchDB 9.0'
export const frames = false

const PULL = { batch_size: 500, batches_limit: 10 }
const idOf = record => record.id

/** Winners and losing revisions alike; also how many documents were left with a conflict that nobody is shown. */
async function digest(db) {
  const { rows } = await db.allDocs({ include_docs: true, conflicts: true })
  const hash = createHash('sha256')
  let conflicts = 0
  for (const { id, value, doc } of rows) {
    if (id.startsWith('_')) continue
    const losing = [...(doc._conflicts ?? [])].sort()
    conflicts += losing.length > 0
    hash.update(id + value.rev + losing.join())
  }
  return { hash: hash.digest('hex'), conflicts }
}

export async function seed({ dir, workload }) {
  const db = new (PouchDB.defaults({ prefix: `${dir}/` }))('register')
  await db.bulkDocs(workload.records.map(record => ({ _id: idOf(record), type: record.type, ...record.fields })))
  await db.close()
}

export async function server({ dir, port }) {
  const Stored = PouchDB.defaults({ prefix: `${dir}/` })
  const app = require('express')()
  app.use('/', require('express-pouchdb')(Stored, { mode: 'minimumForPouchDB', inMemoryConfig: true, logPath: join(dir, 'requests.txt') }))
  const db = new Stored('register')
  db.setMaxListeners(0)
  let last = 0
  db.changes({ since: 'now', live: true }).on('change', () => { last = Date.now() })
  const listening = app.listen({ port, host: '127.0.0.1' })
  listening.keepAliveTimeout = 120_000
  await new Promise(resolve => listening.on('listening', resolve))
  return { load: async () => (await db.info()).doc_count, digest: async () => ({ ...await digest(db), last }) }
}

export async function device({ port, workload, index }) {
  PouchDB.plugin(require('pouchdb-adapter-memory'))
  const agent = new http.Agent({ keepAlive: true, maxSockets: 6 }) // as a browser: six connections a host
  const remote = new PouchDB(`http://127.0.0.1:${port}/register`, { skip_setup: true, fetch: (url, options) => PouchDB.fetch(url, { ...options, agent }) })
  const db = new PouchDB(`device${index}`, { adapter: 'memory' })
  let last = 0
  const firstSync = async () => {
    const start = performance.now()
    await db.replicate.from(remote, PULL)
    const seconds = (performance.now() - start) / 1000
    db.changes({ since: 'now', live: true }).on('change', () => { last = Date.now() })
    return seconds
  }
  return {
    firstSync,
    startFull: firstSync,
    reconnect: async () => { await db.sync(remote, PULL) },
    async edit() {
      for (const { record, field, value } of workload.edits[index]) {
        const doc = await db.get(idOf(workload.records[record]))
        doc[field] = value
        await db.put(doc)
      }
    },
    goOnline() {
      db.sync(remote, { ...PULL, live: true, retry: true }).on('error', error => console.error('pouchdb:', String(error).slice(0, 200)))
    },
    digest: async () => ({ ...await digest(db), last }),
  }
}
