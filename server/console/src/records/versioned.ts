// Writes on the version that was read. When somebody else was first, that is said kindly and the record comes anew.
import { shallowRef, ref, type Ref, type ShallowRef } from 'vue'
import type { Problem } from '@/api/problem'
import { records as texts } from '@/texts/records'
import { failed, said, warned } from '@/ui/notify'

/** The header that names the version. */
export function ifMatch(version: number): { 'If-Match': string } {
  return { 'If-Match': `"${version}"` }
}

export interface Acting {
  busy: Ref<boolean>
  problem: ShallowRef<Problem | undefined>
  /** Whether it was done. */
  act(work: () => Promise<unknown>, done: string): Promise<boolean>
}

/**
 * Runs a write; `reload` shows what stands when it was overtaken. A dialog gives whether it is open: what is done closes
 * it, and shows what stands then.
 */
export function useActing(reload: () => Promise<unknown> | undefined, open?: Ref<boolean>): Acting {
  const busy = ref(false)
  const problem = shallowRef<Problem>()
  return {
    busy,
    problem,
    async act(work, done) {
      if (busy.value) return false
      busy.value = true
      problem.value = undefined
      try {
        await work()
        said(done)
        if (open) {
          open.value = false
          await reload()
        }
        return true
      } catch (cause) {
        problem.value = failed(cause)
        if (problem.value.status === 412) {
          warned(texts.overtaken)
          await reload()
        }
        return false
      } finally {
        busy.value = false
      }
    },
  }
}
