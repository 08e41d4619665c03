// Gives a file of the server's to the person, with the session's token.
import { fetchFile } from '@/api/client'

/** Fetches `path` and saves it under `name`; gives the answer's headers. */
export async function download(path: string, name: string): Promise<Headers> {
  const response = await fetchFile(path)
  const url = URL.createObjectURL(await response.blob())
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  // The browser reads it after the click.
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
  return response.headers
}
