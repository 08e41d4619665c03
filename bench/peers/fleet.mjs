// Measures how many sockets other sync servers hold, at what memory, and how fast a change is seen beside them, in steps
// until one fails; writes figures as JSON lines (see ../README.md for what is measured how).
//   node bench/peers/fleet.mjs NAME|all [--small] [--workload FILE]
import { execSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { FULL, SMALL, workload } from '../workload.mjs'
import { MOST_SOCKETS } from './lib/crowd.mjs'
import { sleep, start, stopAll } from './lib/process.mjs'

const { values: option, positionals } = parseArgs({
  allowPositionals: true,
  options: { small: { type: 'boolean', default: false }, workload: { type: 'string' } },
})
const KNOWN = ['automerge-repo', 'yjs']
const names = positionals[0] === 'all' ? KNOWN : positionals
if (names.length === 0 || names.some(name => !KNOWN.includes(name))) throw new Error(`usage: fleet.mjs all|${KNOWN.join('|')}`)

const OTHERS = 1_000 // open files that a process needs besides its sockets
const FILES = Number(execSync('ulimit -Hn', { encoding: 'utf8' })) || Infinity // Node.js takes all it may have
const MOST = Math.min(FILES - OTHERS, MOST_SOCKETS)
// Where ours are measured too, then twice as many each time.
const COUNTS = option.small ? [400] : [1_000, 10_000]
for (let count = 20_000; !option.small && COUNTS.at(-1) < MOST; count *= 2) COUNTS.push(Math.min(count, MOST))
const SECONDS = 600 // to open so many
const EDITS = option.small ? 40 : 200
const base = mkdtempSync(join(tmpdir(), 'doorstep-fleet-'))
const host = fileURLToPath(new URL('./lib/host.mjs', import.meta.url))
const round = value => Math.round(value * 1000) / 1000
const emit = line => process.stdout.write(`${JSON.stringify(line)}\n`)
const within = (seconds, what, work) => Promise.race([work, sleep(seconds * 1000).then(() => { throw new Error(`${what} took over ${seconds} s`) })])
const at = (times, part) => times.sort((a, b) => a - b)[Math.min(times.length - 1, Math.floor(times.length * part))]

async function measure(name, workFile) {
  const { title: system } = await import(`./systems/${name}.mjs`)
  const dir = join(base, name)
  mkdirSync(dir)
  const options = { system: name, workload: workFile, dir, port: 20_000 + Math.floor(Math.random() * 20_000) }
  await (await start(host, { ...options, role: 'seed' })).stop()
  const server = await start(host, { ...options, role: 'server' })
  await server.call('load', null, 600)
  const crowd = await start(host, { ...options, role: 'crowd' })
  const empty = await server.call('memory')
  let held
  let end = option.small ? 'a quick look tries no more' : 'more were not tried: open files end here'
  for (const count of COUNTS) {
    const step = await oneStep({ system, options, server, crowd, empty, count }).catch(error => ({ failure: String(error.message).split('\n')[0] }))
    if (step.failure) {
      end = `then at ${count}: ${step.failure}`
      break
    }
    held = { count, each: step.each }
  }
  emit({ system, figure: 'most online that held', unit: '', value: held?.count ?? null, note: held ? `${held.each} KB a socket; ${end}` : end })
  await crowd.stop()
  await server.stop()
}

/** So many online, and one client that writes and one that watches beside them; says what failed, if anything did. */
async function oneStep({ system, options, server, crowd, empty, count }) {
  const grown = await crowd.call('grow', { to: count, seconds: SECONDS }, SECONDS + 60)
  await sleep(3000)
  const open = await crowd.call('open')
  const why = grown.failure ?? (grown.seconds < SECONDS ? 'the others were closed' : `after ${SECONDS} s`)
  const failure = open < count ? `${open} of ${count} open: ${why}` : undefined
  const each = round(((await server.call('memory')) - empty) / 1024 / open)
  emit({ system, figure: `${count} online: until all are`, unit: 's', value: failure ? null : round(grown.seconds), note: failure })
  emit({ system, figure: `${count} online: server's memory a socket`, unit: 'KB', value: each, note: failure })
  if (failure) return { failure }
  const pair = await within(SECONDS, 'a pair beside them', start(host, { ...options, role: 'pair' }))
  const times = await pair.call('run', EDITS, 1200)
  await pair.stop()
  const note = `${open} idle, one writes, one watches, ${times.length} of ${EDITS} edits seen`
  for (const [name, part] of [['p50', 0.5], ['p95', 0.95]]) {
    emit({ system, figure: `${count} online, one writes: sent to seen, ${name}`, unit: 'ms', value: times.length ? round(at(times, part)) : null, note })
  }
  return times.length ? { each } : { failure: `none of ${EDITS} edits was seen` }
}

try {
  const workFile = option.workload ?? join(base, 'workload.json')
  if (!option.workload) writeFileSync(workFile, JSON.stringify(workload(option.small ? SMALL : FULL)))
  JSON.parse(readFileSync(workFile, 'utf8'))
  for (const name of names) {
    try {
      await measure(name, workFile)
    } catch (error) {
      emit({ system: name, figure: 'sockets', unit: '', value: null, note: String(error.message).split('\n')[0] })
    }
  }
} finally {
  stopAll()
  await sleep(200)
  rmSync(base, { recursive: true, force: true })
}
process.exit()
