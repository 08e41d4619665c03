// Sends a file and tells how much of it has gone: the one request that goes past `api`, which can't tell.
import { authorization } from '@/api/client'
import { problemOf, unreachable } from '@/api/problem'
import type { ImportView } from '@/api/schema'
import { useSession } from '@/session/store'

/** The largest file that the server takes, in bytes. */
export const LARGEST = 32 * 1024 * 1024

export interface Sending {
  done: Promise<ImportView>
  stop(): void
}

/** `told` hears per cent, up to 100; then the server reads. Stopped, `done` rejects with an AbortError. */
export function send(file: File, query: Record<string, string>, told: (percent: number) => void): Sending {
  const request = new XMLHttpRequest()
  const done = new Promise<ImportView>((resolve, reject) => {
    request.open('POST', `/api/imports?${new URLSearchParams(query).toString()}`)
    for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value)
    request.setRequestHeader('Content-Type', 'application/octet-stream')
    request.upload.onprogress = event => {
      if (event.lengthComputable) told(Math.floor((event.loaded / event.total) * 100))
    }
    request.upload.onload = () => told(100)
    request.onerror = () => reject(unreachable())
    request.onabort = () => reject(new DOMException('', 'AbortError'))
    request.onload = () => {
      const body: unknown = parsed(request.responseText)
      if (request.status === 201) {
        resolve(body as ImportView)
        return
      }
      const retry = request.getResponseHeader('retry-after')
      const headers = new Headers(retry ? { 'retry-after': retry } : {})
      const problem = problemOf(new Response(null, { status: request.status, headers }), body)
      if (problem.status === 401) useSession().end(problem.message)
      reject(problem)
    }
    request.send(file)
  })
  return { done, stop: () => request.abort() }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
