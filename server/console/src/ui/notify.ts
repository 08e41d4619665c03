// Short words at the top of the page, read out too: what was done, or why not.
import { ElMessage } from 'element-plus'
import { asProblem } from '@/api/problem'

export function said(words: string): void {
  ElMessage({ type: 'success', message: words, duration: 4000, grouping: true })
}

export function warned(words: string): void {
  ElMessage({ type: 'warning', message: words, duration: 6000, showClose: true, grouping: true })
}

/** Says what went wrong; gives it back for who wants its fields. */
export function failed(cause: unknown): ReturnType<typeof asProblem> {
  const problem = asProblem(cause)
  ElMessage({ type: 'error', message: problem.message, duration: 8000, showClose: true, grouping: true })
  return problem
}
