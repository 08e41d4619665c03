// Asking the server to decide: first what it would come to, then for good, only on the version that was read.
import { api, ok } from '@/api/client'
import type { Action, ConflictDetail, Decided } from '@/api/schema'

/** A decision that the supervisor is about to take, with its name. */
export interface Choice {
  action: Action
  /** What it is called: 采用左侧“叶海诗”. */
  words: string
  /** What is decided unseen, in words. */
  warnings: string[]
}

const matching = (version: number) => ({ 'If-Match': `"${version}"` })

/** What the decision would write and whom it would tell; changes nothing. */
export function preview(item: ConflictDetail, choice: Choice): Promise<Decided> {
  return ok(
    api.POST('/api/conflicts/{conflict_id}/decision', {
      params: { path: { conflict_id: item.id } },
      headers: matching(item.version),
      body: { ...choice.action, dry_run: true },
    }),
  )
}

export function decide(item: ConflictDetail, choice: Choice, note: string): Promise<Decided> {
  return ok(
    api.POST('/api/conflicts/{conflict_id}/decision', {
      params: { path: { conflict_id: item.id } },
      headers: matching(item.version),
      body: { ...choice.action, ...(note.trim() ? { note: note.trim() } : {}) },
    }),
  )
}

export function undo(item: ConflictDetail): Promise<Decided> {
  return ok(
    api.DELETE('/api/conflicts/{conflict_id}/decision', {
      params: { path: { conflict_id: item.id } },
      headers: matching(item.version),
    }),
  )
}

/** Codes that say: someone else was here first. */
export const OVERTAKEN = ['stale', 'already_decided', 'not_decided']
