// Measures other sync systems on the bench's work and writes figures as JSON lines (see ../README.md for what is measured how).
//   node bench/peers/run.mjs NAME|all [--small] [--workload FILE] [--task first,converge] [--runs N] [--limit SECONDS]
import { mkdtempSync, rmSync, readFileSync, writeFileSync, mkdirSync, cpSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { FULL, SMALL, workload } from '../workload.mjs'
import { sleep, start, stopAll } from './lib/process.mjs'

const { values: option, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    small: { type: 'boolean', default: false },
    workload: { type: 'string' },
    task: { type: 'string', default: 'first,converge' },
    runs: { type: 'string' },
    limit: { type: 'string', default: '180' },
  },
})
const IN_ALL = ['automerge-repo', 'pouchdb']
const KNOWN = [...IN_ALL, 'yjs']
const names = positionals[0] === 'all' ? IN_ALL : positionals
if (names.length === 0 || names.some(name => !KNOWN.includes(name))) throw new Error(`usage: run.mjs all|${KNOWN.join('|')}`)

const runs = Number(option.runs ?? (option.small ? 1 : 3))
const limit = Number(option.limit)
const base = mkdtempSync(join(tmpdir(), 'doorstep-peers-'))
const file = name => fileURLToPath(new URL(`./lib/${name}.mjs`, import.meta.url))
const median = values => values.sort((a, b) => a - b)[values.length >> 1]
const round = value => Math.round(value * 1000) / 1000
const emit = line => process.stdout.write(`${JSON.stringify(line)}\n`)

/** The proxy's counts once nothing but control frames has passed for a while. */
async function quiet(proxy, forMs = 1500, atMostMs = 60_000) {
  const start = Date.now()
  for (;;) {
    const counted = await proxy.call('counted')
    const now = Date.now()
    if (counted.lastAt ? now - counted.lastAt > forMs : now - start > 8000) return counted
    if (now - start > atMostMs) return counted
    await sleep(100)
  }
}

/** One server with the seeded documents behind a proxy, and a way to start devices; all gone afterwards. */
async function withServer(system, work) {
  const { name, frames, seeded, options } = system
  const dir = join(base, `${name}-${process.hrtime.bigint()}`)
  cpSync(seeded, dir, { recursive: true })
  const port = 20_000 + Math.floor(Math.random() * 20_000)
  const started = []
  const begin = async (script, given) => {
    const child = await start(file(script), { ...options, dir, ...given })
    started.push(child)
    return child
  }
  try {
    const server = await begin('host', { role: 'server', port })
    const proxy = await begin('proxy', { role: 'proxy', listen: port + 1, target: port, frames })
    return await work({ server, proxy, device: index => begin('host', { role: 'device', index, port: port + 1 }) })
  } finally {
    for (const child of started) await child.stop()
    rmSync(dir, { recursive: true, force: true })
  }
}

const framesOf = ({ frames }, counted) => (frames ? counted.framesUp + counted.framesDown : counted.requests)

/** A new device gets everything; then it loses its connection and comes back with nothing new. */
const firstAndReconnect = system => withServer(system, async ({ proxy, device }) => {
  const one = await device(0)
  const seconds = await one.call('firstSync', null, 600)
  const first = await quiet(proxy)
  await proxy.call('block')
  await sleep(800)
  await proxy.call('reset')
  await proxy.call('unblock')
  await one.call('reconnect')
  const again = await quiet(proxy)
  return {
    'first sync': { value: seconds, unit: 's' },
    'first sync, bytes': { value: (first.up + first.down) / 1e6, unit: 'MB' },
    'reconnect, nothing new': { value: (again.lastAt - again.firstAt) / 1000, unit: 's' },
    'reconnect, frames': { value: framesOf(system, again), unit: system.frames ? '' : 'requests' },
    'reconnect, bytes': { value: (again.up + again.down) / 1000, unit: 'kB' },
  }
})

/** Devices that hold everything edit offline and come back together. */
const converge = system => withServer(system, async ({ server, proxy, device }) => {
  if (system.startsFromFiles) await proxy.call('block')
  const devices = []
  for (let index = 0; index < system.work.edits.length; index++) {
    const one = await device(index)
    await one.call('startFull', null, 600)
    devices.push(one)
  }
  await server.call('load', null, 600)
  if (!system.startsFromFiles) {
    await quiet(proxy)
    await proxy.call('block')
  }
  await Promise.all(devices.map(one => one.call('edit', null, 600)))
  await sleep(500)
  await proxy.call('reset')
  await proxy.call('unblock')
  const start = Date.now()
  await Promise.all(devices.map(one => one.call('goOnline')))
  for (;;) {
    const counted = await quiet(proxy, 1500, 10_000)
    const seen = await Promise.all([...devices, server].map(one => one.call('digest')))
    const equal = new Set(seen.map(one => one.hash)).size === 1
    const late = (Date.now() - start) / 1000 > limit
    if (!equal && !late) continue
    const left = seen.at(-1).conflicts
    const note = !equal
      ? `not equal after ${limit} s`
      : left > 0 ? `${left} documents left in conflict, their losing edits shown to nobody` : undefined
    return {
      'converge after offline edits': { value: equal ? (Math.max(...seen.map(one => one.last)) - counted.firstAt) / 1000 : null, unit: 's', note },
      'converge, bytes': { value: equal ? (counted.up + counted.down) / 1e6 : null, unit: 'MB', note: equal ? undefined : note },
    }
  }
})

const TASKS = { first: firstAndReconnect, converge }

async function measure(name, work, workFile) {
  const { title, frames } = await import(`./systems/${name}.mjs`)
  const seeded = join(base, `${name}-seeded`)
  mkdirSync(seeded)
  const options = { system: name, workload: workFile }
  await (await start(file('host'), { ...options, role: 'seed', dir: seeded })).stop()
  const system = { name, frames, seeded, options, work, startsFromFiles: name === 'automerge-repo' }
  for (const task of option.task.split(',')) {
    const seen = new Map()
    const count = task === 'converge' ? 1 : runs
    let failure
    for (let run = 0; run < count; run++) {
      try {
        for (const [figure, result] of Object.entries(await TASKS[task](system))) seen.set(figure, [...(seen.get(figure) ?? []), result])
      } catch (error) {
        failure = String(error.message).split('\n')[0]
      }
    }
    if (seen.size === 0) emit({ system: title, figure: task === 'first' ? 'first sync' : 'converge after offline edits', unit: 's', value: null, note: failure })
    for (const [figure, results] of seen) {
      const values = results.map(result => result.value).filter(value => value !== null)
      emit({ system: title, figure, unit: results[0].unit, value: values.length ? round(median(values)) : null, runs: results.length, note: results.find(result => result.note)?.note })
    }
  }
}

try {
  const workFile = option.workload ?? join(base, 'workload.json')
  if (!option.workload) writeFileSync(workFile, JSON.stringify(workload(option.small ? SMALL : FULL)))
  const work = JSON.parse(readFileSync(workFile, 'utf8'))
  for (const name of names) await measure(name, work, workFile)
} finally {
  stopAll()
  await sleep(200)
  rmSync(base, { recursive: true, force: true })
}
process.exit()
