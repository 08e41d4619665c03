// The one way to the server: typed by its own description, with the session's token, every refusal a Problem.
import createClient, { type Middleware } from 'openapi-fetch'
import { Problem, problemOf, unreachable } from './problem'
import type { paths } from './schema'

/** What the client needs of the session; set by the session store, so that neither imports the other. */
interface Holder {
  token(): string | null
  /** The server no longer knows the token. */
  ended(problem: Problem): void
}

let holder: Holder = { token: () => null, ended: () => undefined }

export function holdSession(of: Holder): void {
  holder = of
}

/** The header that a request carries, for the few that go past `api` (streams, downloads). */
export function authorization(): Record<string, string> {
  const token = holder.token()
  return token === null ? {} : { Authorization: `Bearer ${token}` }
}

let answeredAt = 0

/** When the server last answered a request of the session's, in milliseconds: it counts the session's use by them. */
export function lastAnswered(): number {
  return answeredAt
}

const token: Middleware = {
  onRequest({ request }) {
    for (const [name, value] of Object.entries(authorization())) request.headers.set(name, value)
    return request
  },
  onResponse({ response }) {
    if (response.ok) answeredAt = Date.now()
  },
}

export const api = createClient<paths>({ baseUrl: '' })
api.use(token)

interface Answer<T> {
  data?: T
  error?: unknown
  response: Response
}

/**
 * The data of an answer; throws a Problem when it was refused or didn't come.
 * `ok(api.GET('/api/conflicts', { params: { query } }))`
 */
export async function ok<T>(request: Promise<Answer<T>>): Promise<T> {
  return (await answered(request)).data
}

/** As `ok`, with the answer's headers (ETag). */
export async function answered<T>(request: Promise<Answer<T>>): Promise<{ data: T; response: Response }> {
  let answer: Answer<T>
  try {
    answer = await request
  } catch (cause) {
    throw cause instanceof DOMException && cause.name === 'AbortError' ? cause : unreachable()
  }
  if (answer.response.ok) return { data: answer.data as T, response: answer.response }
  const problem = problemOf(answer.response, answer.error)
  if (problem.status === 401 && holder.token() !== null) holder.ended(problem)
  throw problem
}

/** Fetches a file with the session's token: an export, a template. */
export async function fetchFile(path: string, init?: RequestInit): Promise<Response> {
  const response = await fetch(path, { ...init, headers: { ...init?.headers, ...authorization() } }).catch(() => {
    throw unreachable()
  })
  if (response.ok) {
    answeredAt = Date.now()
    return response
  }
  const problem = problemOf(response, await response.json().catch(() => undefined))
  if (problem.status === 401 && holder.token() !== null) holder.ended(problem)
  throw problem
}
