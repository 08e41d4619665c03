// What went wrong, as a person may read it. The server words its refusals itself; here stand only those of the way there.
import { errors } from '@/texts/errors'

export interface FieldProblem {
  path: string
  code: string
  message: string
}

/** A refused or failed request. `message` is for people; `code` is stable, for programs. */
export class Problem extends Error {
  constructor(
    /** HTTP status; 0 when nothing answered. */
    readonly status: number,
    readonly code: string,
    message: string,
    readonly fields: FieldProblem[] = [],
    /** Names the request in the server's log. */
    readonly requestId = '',
    /** Seconds after which another try makes sense. */
    readonly retryAfter: number | null = null,
  ) {
    super(message)
    this.name = 'Problem'
  }

  /** The words about one field, if it is among the wrong ones. */
  of(path: string): string | undefined {
    return this.fields.find(field => field.path === path)?.message
  }
}

export function unreachable(): Problem {
  return new Problem(0, 'unreachable', errors.unreachable)
}

/** Reads the server's error form; whatever else answered (a proxy, say) gets words by its status. */
export function problemOf(response: Response, body: unknown): Problem {
  const retry = Number.parseInt(response.headers.get('retry-after') ?? '', 10)
  const retryAfter = Number.isFinite(retry) ? retry : null
  const error = record(record(body)?.['error'])
  if (error && typeof error['code'] === 'string' && typeof error['message'] === 'string') {
    const fields = Array.isArray(error['fields']) ? (error['fields'] as FieldProblem[]) : []
    const id = typeof error['request_id'] === 'string' ? error['request_id'] : ''
    return new Problem(response.status, error['code'], error['message'], fields, id, retryAfter)
  }
  const words = response.status >= 500 ? errors.down : errors.strange
  return new Problem(response.status, 'no_form', words, [], response.headers.get('x-request-id') ?? '', retryAfter)
}

/** Anything thrown, as a Problem. A fault of the console itself is said as such. */
export function asProblem(cause: unknown): Problem {
  return cause instanceof Problem ? cause : new Problem(0, 'console_fault', errors.console)
}

function record(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
}
