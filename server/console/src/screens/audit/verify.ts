// Verifying the log, in steps that each go on from the one before: it can be watched, left and stopped. Lives as long
// as the tab, not the page.
import { computed, ref, shallowRef } from 'vue'
import { api, ok } from '@/api/client'
import { asProblem, type Problem } from '@/api/problem'
import type { AuditVerdict } from '@/api/schema'

/** Entries of a step: about a second's work. */
const STEP = 20_000

const verdict = shallowRef<AuditVerdict>()
const problem = shallowRef<Problem>()
const running = ref(false)
/** When the last verification ended. */
const endedAt = ref('')
let turn = 0

async function start(): Promise<void> {
  const mine = ++turn
  running.value = true
  verdict.value = problem.value = undefined
  endedAt.value = ''
  try {
    for (;;) {
      const before: AuditVerdict | undefined = verdict.value
      const from: { after?: number; hash?: string } = before ? { after: before.entries, hash: before.hash } : {}
      const query = { most: STEP, ...from }
      const now: AuditVerdict = await ok(api.GET('/api/audit/verify', { params: { query } }))
      if (mine !== turn) return
      verdict.value = now
      if (now.fault || now.entries >= now.head) break
    }
    endedAt.value = new Date().toISOString()
  } catch (cause) {
    if (mine === turn) problem.value = asProblem(cause)
  } finally {
    if (mine === turn) running.value = false
  }
}

/** Ends it, and forgets what it found; the result of an ended one is put away. */
function stop(): void {
  turn++
  running.value = false
  verdict.value = problem.value = undefined
}

export function useVerification() {
  const percent = computed(() => {
    const now = verdict.value
    return now && now.head > 0 ? Math.floor((now.entries / now.head) * 100) : 0
  })
  return { verdict, problem, running, endedAt, percent, start, stop }
}
