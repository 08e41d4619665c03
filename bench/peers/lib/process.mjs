// Roles of a bench as processes of their own, called by messages. Knows nothing of what a role does.
import { fork } from 'node:child_process'

export const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))
const children = new Set()

/** What every role can say: the memory that its process holds, in bytes. */
const common = {
  memory() {
    globalThis.gc?.()
    return process.memoryUsage.rss()
  },
}

/** In a child: answers calls with the methods of `role`, then tells the parent that it is ready. */
export function serve(role) {
  process.on('message', async ({ id, method, argument }) => {
    try {
      process.send({ id, result: await (role[method] ?? common[method])(argument) })
    } catch (error) {
      process.send({ id, error: String(error?.stack ?? error) })
    }
  })
  process.on('disconnect', () => process.exit())
  process.send({ ready: true })
}

/** In the parent: starts `file` and gives back `call` and `stop` once it is ready. */
export async function start(file, options) {
  const child = fork(file, [JSON.stringify(options)], { stdio: ['ignore', 2, 2, 'ipc'], execArgv: ['--max-old-space-size=6144', '--expose-gc'] })
  children.add(child)
  const waiting = new Map()
  let count = 0
  const ready = new Promise((resolve, reject) => {
    child.on('message', message => {
      if (message.ready) return resolve()
      const call = waiting.get(message.id)
      waiting.delete(message.id)
      message.error ? call?.reject(new Error(message.error)) : call?.resolve(message.result)
    })
    child.on('exit', (code, signal) => {
      children.delete(child)
      const error = new Error(`${options.role} ended (${signal ?? code})`)
      reject(error)
      for (const call of waiting.values()) call.reject(error)
    })
  })
  await ready
  return {
    call(method, argument, seconds = 300) {
      const id = ++count
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(id)
          reject(new Error(`${options.role}: ${method} took over ${seconds} s`))
        }, seconds * 1000)
        const settle = finish => value => {
          clearTimeout(timer)
          finish(value)
        }
        waiting.set(id, { resolve: settle(resolve), reject: settle(reject) })
        child.send({ id, method, argument }, error => { if (error) waiting.get(id)?.reject(error) })
      })
    },
    stop() {
      if (child.exitCode !== null || child.signalCode) return Promise.resolve()
      const gone = new Promise(resolve => child.once('exit', resolve))
      child.kill('SIGKILL')
      return gone
    },
  }
}

export const stopAll = () => { for (const child of children) child.kill('SIGKILL') }
