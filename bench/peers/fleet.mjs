// Measures how many sockets other sync servers hold, at what memory, and how fast a change is seen beside them; writes
// figures as JSON lines (see ../README.md for what is measured how).
//   node bench/peers/fleet.mjs NAME|all [--small] [--workload FILE]
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { FULL, SMALL, workload } from '../workload.mjs'
import { sleep, start, stopAll } from './lib/process.mjs'

const { values: option, positionals } = parseArgs({
  allowPositionals: true,
  options: { small: { type: 'boolean', default: false }, workload: { type: 'string' } },
})
const KNOWN = ['automerge-repo', 'yjs']
const names = positionals[0] === 'all' ? KNOWN : positionals
if (names.length === 0 || names.some(name => !KNOWN.includes(name))) throw new Error(`usage: fleet.mjs all|${KNOWN.join('|')}`)

const COUNTS = option.small ? [400] : [1_000, 10_000]
const SECONDS = 300 // to open so many
const EDITS = option.small ? 40 : 200
const base = mkdtempSync(join(tmpdir(), 'doorstep-fleet-'))
const host = fileURLToPath(new URL('./lib/host.mjs', import.meta.url))
const round = value => Math.round(value * 1000) / 1000
const emit = line => process.stdout.write(`${JSON.stringify(line)}\n`)
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
  for (const count of COUNTS) {
    const grown = await crowd.call('grow', { to: count, seconds: SECONDS }, SECONDS + 60)
    await sleep(3000)
    const open = await crowd.call('open')
    const note = open < count ? `${open} of ${count} open${grown.failure ? `: ${grown.failure}` : ` after ${SECONDS} s`}` : undefined
    const memory = (await server.call('memory')) - empty
    emit({ system, figure: `${count} online: until all are`, unit: 's', value: note ? null : round(grown.seconds), note })
    emit({ system, figure: `${count} online: server's memory a socket`, unit: 'KB', value: round(memory / 1024 / open), note })
    const pair = await start(host, { ...options, role: 'pair' })
    const times = await pair.call('run', EDITS, 1200)
    await pair.stop()
    const told = `${open} idle, one writes, one watches, ${times.length} of ${EDITS} edits seen`
    emit({ system, figure: `${count} online, one writes: sent to seen, p50`, unit: 'ms', value: times.length ? round(at(times, 0.5)) : null, note: told })
    emit({ system, figure: `${count} online, one writes: sent to seen, p95`, unit: 'ms', value: times.length ? round(at(times, 0.95)) : null, note: told })
    if (open < count) break
  }
  await crowd.stop()
  await server.stop()
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
