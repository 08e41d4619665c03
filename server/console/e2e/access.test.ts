// No serious fault of access (axe-core) on any screen, light or dark; and the first page is small.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from '@playwright/test'
import type { AxeResults } from 'axe-core'
import { createMemoryHistory, createRouter, type RouteRecordRaw } from 'vue-router'
import { places, type Place } from './places'
import { readScreens } from './screens'
import { enter, expect, test } from './test'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** The serious faults of a page, each with the elements that have it. */
async function faultsOf(page: Page): Promise<string[]> {
  await page.evaluate(axe)
  const results = await page.evaluate(async () => {
    const { axe } = window as unknown as { axe: { run(options: unknown): Promise<AxeResults> } }
    return axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] })
  })
  return results.violations
    .filter(fault => fault.impact === 'serious' || fault.impact === 'critical')
    .flatMap(fault => fault.nodes.map(node => `${fault.id}: ${node.target.join(' ')} ${node.failureSummary ?? ''}`))
}

/** The page of a place as the screens declare it. */
function routeOf(place: Place): string {
  if (place.route !== undefined) return place.route
  if (place.path.length > 0) throw new Error(`${place.name} says no route, and its address needs the town`)
  const path = place.path(undefined as never)
  if (typeof path !== 'string') throw new Error(`${place.name} has no plain address`)
  return resolve(path)
}

let resolve: (path: string) => string
let declared: string[]
test.beforeAll(async () => {
  const routes: RouteRecordRaw[] = (await readScreens()).map(path => ({ path, component: {} }))
  const router = createRouter({ history: createMemoryHistory(), routes })
  declared = routes.map(route => route.path)
  resolve = path => router.resolve(path).matched.at(-1)?.path ?? ''
})

test('every page that the screens declare is pictured and checked', () => {
  const reached = new Set(places.map(routeOf))
  expect(declared.filter(path => !reached.has(path))).toEqual([])
  expect([...reached].filter(path => !declared.includes(path))).toEqual([])
})

for (const place of places) {
  test(`the screen ${place.name} has no serious fault of access, light or dark`, async ({ page, town }) => {
    await page.emulateMedia({ reducedMotion: 'reduce', colorScheme: 'light' })
    const path = await place.path(town)
    if (place.who) await enter(page, town, town.people[place.who], path)
    else await page.goto(town.url + path)
    await place.ready(page)
    expect(resolve(new URL(page.url()).pathname), 'the page that the place says').toBe(routeOf(place))
    expect(await faultsOf(page), 'light').toEqual([])
    await page.emulateMedia({ reducedMotion: 'reduce', colorScheme: 'dark' })
    await expect(page.locator('html')).toHaveClass(/dark/)
    await page.evaluate(() => {
      const fading = document.getAnimations().filter(animation => animation instanceof CSSTransition)
      return Promise.allSettled(fading.map(animation => animation.finished))
    })
    expect(await faultsOf(page), 'dark').toEqual([])
  })
}

test('the first page loads less than 300 KB of script and styles, and charts come later', async ({ page, town }) => {
  const bytes = { script: 0, styles: 0 }
  const names: string[] = []
  page.on('response', async response => {
    const kind = response.url().endsWith('.js') ? 'script' : response.url().endsWith('.css') ? 'styles' : undefined
    if (!kind) return
    const sizes = await response.request().sizes()
    bytes[kind] += sizes.responseBodySize
    names.push(new URL(response.url()).pathname)
    // A file of a few bytes, which packing would make longer, goes as it is.
    if (sizes.responseBodySize > 200) expect(response.headers()['content-encoding']).toBe('br')
    expect(response.headers()['cache-control']).toContain('immutable')
  })
  await page.goto(`${town.url}/sign-in`)
  await page.getByLabel('登录名').waitFor()
  const door = { ...bytes }
  await enter(page, town, town.people.auditor)
  await page.getByText('您的角色没有待办事项').waitFor()
  const told = ({ script, styles }: typeof bytes) =>
    `${Math.round(script / 1024)} KB of script and ${Math.round(styles / 1024)} KB of styles`
  console.log(`${told(door)} at the sign-in, ${told(bytes)} at the desk`)
  expect(names.length).toBeGreaterThan(3)
  expect(bytes.styles).toBeGreaterThan(0)
  expect(bytes.script + bytes.styles).toBeLessThan(300 * 1024)
  expect(names.some(name => name.includes('charts'))).toBe(false)
})

test('the keyboard alone reaches every action of an item, and shows where it is', async ({ page, town }) => {
  const { conflict } = await town.dispute(['姓名=尤佳', '姓名=尤嘉'])
  await enter(page, town, town.people.zhou, `/conflicts/${conflict}`)
  await page.getByRole('toolbar').waitFor()
  await page.locator('main').focus()
  const seen = new Set<string>()
  for (let steps = 0; steps < 120; steps++) {
    await page.keyboard.press('Tab')
    const text = await page.evaluate(() => document.activeElement?.textContent?.trim() ?? '')
    seen.add(text)
    if (text.includes('无需裁决')) break
  }
  const all = [...seen].join('|')
  for (const action of ['采用左侧', '采用右侧', '填写其他值', '是两个人，拆分', '无需裁决'])
    expect(all).toContain(action)
})

test('on a tablet the list and the item follow one another', async ({ page, town }) => {
  const { conflict } = await town.dispute(['姓名=田禾', '姓名=田和'])
  await page.setViewportSize({ width: 820, height: 1180 })
  await enter(page, town, town.people.zhou, `/conflicts/${conflict}`)
  await expect(page.locator('.card').first()).toBeVisible()
  await expect(page.getByRole('region', { name: '事项列表' })).toBeHidden()
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)
  expect(wide, 'nothing runs over the side').toBe(false)
  await page.getByRole('button', { name: '展开菜单' }).click()
  await page.getByRole('link', { name: '待裁决' }).click()
  await expect(page.getByRole('region', { name: '事项列表' })).toBeVisible()
})
