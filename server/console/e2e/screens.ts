// The pages that the screens declare, read from them without a browser.
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { RouteRecordRaw } from 'vue-router'
import type { Screen } from '../src/shell/screen'

const folder = fileURLToPath(new URL('../src/screens', import.meta.url))

/** Their patterns: `/people/:id`. A page that only frames others is those others. */
export async function readScreens(): Promise<string[]> {
  const found: string[] = []
  for (const name of readdirSync(folder)) {
    const { default: screen } = (await import(`../src/screens/${name}/screen.ts`)) as { default: Screen }
    for (const route of [...(screen.bare ?? []), ...(screen.routes ?? [])]) found.push(...pages(route, '/'))
  }
  return found.map(path => path.replace(/\(.*\)$/, '')).toSorted()
}

function pages(route: RouteRecordRaw, above: string): string[] {
  const path = route.path.startsWith('/') ? route.path : `${above}/${route.path}`.replaceAll('//', '/')
  // What leads elsewhere shows nothing.
  if (route.redirect !== undefined) return []
  const plain = path.length > 1 ? path.replace(/\/$/, '') : path
  return route.children ? route.children.flatMap(child => pages(child, plain)) : [plain]
}
