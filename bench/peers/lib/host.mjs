// The process that plays one role of one system: its server, or a device.
import { readFileSync } from 'node:fs'
import { serve } from './process.mjs'

const options = JSON.parse(process.argv[2])
const workload = JSON.parse(readFileSync(options.workload, 'utf8'))
const system = await import(`../systems/${options.system}.mjs`)
if (options.role === 'seed') {
  await system.seed({ ...options, workload })
  serve({})
} else {
  serve(await system[options.role]({ ...options, workload }))
}
