// Pictures of photos: fetched with the session's token, for a purpose where they are masked, and kept in memory only as
// long as they are shown.
import { shallowRef, watch, type ShallowRef } from 'vue'
import { fetchFile } from '@/api/client'
import { asProblem } from '@/api/problem'
import type { PhotoView, Purpose } from '@/api/schema'

/** Where a photo may be fetched; nowhere before it has arrived, nor while it is masked. */
export function pathOf(photo: PhotoView, purpose: Purpose | undefined, part: '' | '/thumbnail'): string | undefined {
  if (photo.state !== 'arrived' || (photo.masked && !purpose)) return undefined
  return `/api/photos/${photo.digest}${part}${photo.masked ? `?purpose=${purpose}` : ''}`
}

export interface Picture {
  /** The picture's address in this page, once it is there. */
  url: ShallowRef<string | undefined>
  /** Why it could not be had. */
  problem: ShallowRef<string | undefined>
}

/** The picture at a path; gone at once when the path is another or none. */
export function usePicture(path: () => string | undefined): Picture {
  const url = shallowRef<string>()
  const problem = shallowRef<string>()
  watch(
    path,
    async (now, _before, onCleanup) => {
      url.value = problem.value = undefined
      if (!now) return
      let gone = false
      onCleanup(() => {
        gone = true
        if (url.value) URL.revokeObjectURL(url.value)
      })
      try {
        const picture = await (await fetchFile(now)).blob()
        if (!gone) url.value = URL.createObjectURL(picture)
      } catch (cause) {
        if (!gone) problem.value = asProblem(cause).message
      }
    },
    { immediate: true },
  )
  return { url, problem }
}
