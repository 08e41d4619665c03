// Houses: their file, what becomes of their people, management; and the view of buildings with 1,400 houses.
import type { Page } from '@playwright/test'
import { ESTATE, HOUSES, VILLAGE, estate, household, register } from './estate'
import { enter, expect, test } from './test'
import { COMMITTEE } from './town'

/** Notes how long each interaction took until it was painted. */
async function measure(page: Page): Promise<() => Promise<number[]>> {
  await page.addInitScript(() => {
    const slow: number[] = []
    Object.assign(window, { slow })
    new PerformanceObserver(list => {
      for (const entry of list.getEntries()) slow.push(entry.duration)
    }).observe({ type: 'event', durationThreshold: 16, buffered: true } as PerformanceObserverInit)
  })
  return () => page.evaluate(() => (window as unknown as { slow: number[] }).slow)
}

/** Whose main residence is claimed: the server asks about it within a minute, while the tests go on. */
let asked = ''
test.beforeAll(async ({ town }) => {
  const { people } = await household(town, town.people.zhou, COMMITTEE)
  const { house } = await household(town, town.people.zhou, COMMITTEE)
  asked = people[1] ?? ''
  const tie = { resident: asked, house, kind: 'living' }
  const residence = await register(town, town.people.zhou, 'residences', tie, COMMITTEE)
  await town.ask(town.people.zhou, 'POST', `/api/residents/${asked}/main-residence`, { residence })
})

test('the view of 1,400 houses is shown, coloured, walked and opened without a wait', async ({ page, town }) => {
  test.setTimeout(300_000)
  await estate(town)
  const durations = await measure(page)
  await enter(page, town, town.people.he, '/people')
  await page.getByRole('heading', { level: 1 }).waitFor()
  const from = Date.now()
  await page.goto(`${town.url}/buildings?area=${VILLAGE}`)
  await expect(page.getByText(`全部楼栋（${HOUSES} 套）`)).toBeVisible()
  await expect(page.getByRole('gridcell').first()).toBeVisible()
  const loaded = Date.now() - from
  await expect(page.getByRole('navigation', { name: '小区与楼栋' })).toContainText(ESTATE)

  // The legend counts every house in each colouring.
  const legend = page.getByRole('list', { name: '图例' }).getByRole('listitem')
  const sum = async () => {
    const numbers = await legend.locator('b').allInnerTexts()
    return numbers.reduce((total, text) => total + Number(text.replaceAll(',', '')), 0)
  }
  for (const name of ['房屋用途', '核实情况', '居住情况']) {
    await page.getByText(name, { exact: true }).click()
    await expect(page.getByRole('radio', { name })).toBeChecked()
    expect(await sum()).toBe(HOUSES)
  }
  await page.getByText('房屋用途', { exact: true }).click()
  await expect(legend.filter({ hasText: '群租' }).locator('b')).toHaveText('140')

  // Down to the last building by scrolling: all are drawn by then.
  for (let scrolls = 0; scrolls < 40; scrolls++) {
    await page.locator('.rooms').first().hover()
    await page.mouse.wheel(0, 1200)
    await page.waitForTimeout(30)
  }
  await expect(page.getByRole('grid')).toHaveCount(20)
  await expect(page.getByRole('gridcell')).toHaveCount(HOUSES)

  // The arrows walk over floors and buildings, Enter opens, Escape comes back to the same room.
  await page.getByRole('gridcell').first().focus()
  const at = () => page.evaluate(() => document.activeElement?.getAttribute('data-house'))
  const seen = new Set([await at()])
  for (const key of ['ArrowRight', 'ArrowDown', 'ArrowDown', 'End', 'PageDown', 'ArrowDown', 'ArrowRight']) {
    await page.keyboard.press(key)
    seen.add(await at())
  }
  expect(seen.size).toBe(8)
  const room = await at()
  await page.keyboard.press('Enter')
  await expect(page.getByRole('dialog')).toContainText('长乐新路88弄2号')
  await page.keyboard.press('Escape')
  await expect(page.getByRole('dialog')).toHaveCount(0)
  expect(await at()).toBe(room)

  // All drawn: colouring anew, one building, and back.
  for (const name of ['核实情况', '居住情况', '房屋用途']) await page.getByText(name, { exact: true }).click()
  const list = page.getByRole('navigation', { name: '小区与楼栋' })
  await list.getByRole('button', { name: '长乐新路88弄7号' }).click()
  await expect(page.getByRole('grid')).toHaveCount(1)
  expect(await sum()).toBe(70)
  await list.getByRole('button', { name: /全部楼栋/ }).click()
  await expect(page.getByRole('grid').nth(2)).toBeVisible()
  await page.waitForTimeout(300)
  const all = (await durations()).sort((a, b) => b - a)
  const worst = all[0] ?? 0
  console.log(
    `building view of ${HOUSES} houses: shown after ${loaded} ms; ${all.length} events over 16 ms, slowest ${worst} ms, next ${all[1] ?? 0} ms`,
  )
  expect(new URL(page.url()).searchParams.get('by')).toBe('use')
})

test('a room shows its people by class, and leads to their files', async ({ page, town }) => {
  const { house, people } = await household(town, town.people.zhou, COMMITTEE)
  await enter(page, town, town.people.zhou, `/buildings?area=${COMMITTEE}&room=${house}`)
  const drawer = page.getByRole('dialog')
  await expect(drawer).toContainText('人户一致')
  await expect(drawer).toContainText('人在户不在')
  await drawer.getByRole('link', { name: '夏**' }).click()
  await page.waitForURL(`**/people/${people[1] ?? ''}`)
  await page.goto(`${town.url}/houses/${house}`)
  await expect(page.getByRole('region', { name: '房屋内人员' })).toContainText('人户一致')
})

test('a house is claimed, managed and released', async ({ page, town }) => {
  const { id } = town.house()
  await enter(page, town, town.people.zhou, `/houses/${id}`)
  for (const [step, state] of [
    ['认领', '纳管：已认领'],
    ['纳管', '纳管：已纳管'],
    ['解除纳管', '纳管：已解除'],
  ] as const) {
    await page.getByRole('button', { name: step, exact: true }).click()
    await page.getByRole('dialog').getByRole('button', { name: step, exact: true }).click()
    await expect(page.getByText(state)).toBeVisible()
  }
})

test('a house with people is cancelled with what becomes of them', async ({ page, town }) => {
  const { house } = await household(town, town.people.zhou, COMMITTEE)
  await enter(page, town, town.people.zhou, `/houses/${house}`)
  await page.getByRole('button', { name: '注销' }).click()
  const dialog = page.getByRole('dialog')
  await expect(dialog).toContainText('房屋内还有 2 人')
  await dialog.getByRole('combobox', { name: '注销原因' }).click()
  await page.getByRole('option', { name: '房屋拆除' }).click()
  await dialog.getByRole('button', { name: '注销' }).click()
  await expect(page.locator('.about').getByText('已注销')).toBeVisible()
  await expect(page.getByRole('region', { name: '历史居民' }).getByRole('listitem')).toHaveCount(3)
})

test('houses are found by address and estate, and narrowed by use', async ({ page, town }) => {
  await household(town, town.people.zhou, COMMITTEE)
  await enter(page, town, town.people.zhou, '/houses?text=安康里&facets=house_use:1')
  const rows = page.getByRole('table', { name: '房屋' }).getByRole('row')
  await expect(rows.nth(1)).toContainText('安康路12弄')
  await expect(rows.nth(1)).toContainText('自用')
  await page.getByRole('searchbox', { name: '查找房屋' }).fill('不存在的路9999号')
  await expect(page.getByText('没有符合条件的档案')).toBeVisible()
})

test('what is to be checked is marked, and the legend shows it alone', async ({ page, town }) => {
  test.setTimeout(150_000)
  const open = async () => (await town.ask(town.people.zhou, 'GET', `/api/checks?resident=${asked}`))['items']
  await expect.poll(async () => ((await open()) as unknown[]).length, { timeout: 90_000 }).toBe(2)
  await enter(page, town, town.people.zhou, `/buildings?area=${COMMITTEE}&by=tasks`)
  const legend = page.getByRole('list', { name: '图例' })
  const wanted = legend.getByRole('button', { name: /^待核查/ })
  const count = Number(await wanted.locator('b').innerText())
  expect(count).toBeGreaterThan(0)
  const all = await page.getByRole('gridcell').count()
  await wanted.click()
  await expect(wanted).toHaveAttribute('aria-pressed', 'true')
  await expect(page.getByRole('gridcell')).toHaveCount(count)
  await expect(page.getByRole('gridcell').first()).toContainText('核查1')
  await expect(page).toHaveURL(/only=/)
  // The room tells what is asked, and leads to where it is decided.
  await page.getByRole('gridcell').first().click()
  const room = page.getByRole('dialog')
  await expect(room.getByRole('heading', { name: '待办核查 1 项' })).toBeVisible()
  await expect(room).toContainText('上门核查')
  await room.getByRole('link', { name: '主要居住地核查' }).click()
  await page.waitForURL('**/conflicts/*')
  await page.goBack()
  await expect(room).toBeVisible()
  await page.keyboard.press('Escape')
  await expect(room).toHaveCount(0)
  await expect(page.getByRole('gridcell')).toHaveCount(count)
  // In every other colouring the room keeps its sign.
  await page.getByText('房屋用途', { exact: true }).click()
  await expect(page.getByRole('gridcell').nth(count)).toBeAttached()
  expect(await page.getByRole('gridcell').count()).toBeGreaterThanOrEqual(all)
  await expect(page.locator('.room i', { hasText: '核' })).toHaveCount(count)
  const vacant = legend.getByRole('button', { name: /^空置/ })
  const own = legend.getByRole('button', { name: /^自用/ })
  await vacant.click()
  await own.click()
  const both = (await Promise.all([vacant, own].map(one => one.locator('b').innerText()))).map(Number)
  await expect(page.locator('.head')).toContainText(`${(both[0] ?? 0) + (both[1] ?? 0)} 套`)
  await page.getByRole('button', { name: '显示全部' }).click()
  await expect(vacant).toHaveAttribute('aria-pressed', 'false')
})

test('in a street the houses without a number are opened as one building', async ({ page, town }) => {
  const street = await town.person('street.eye', '街道主管', 'supervisor', '310101002000')
  await register(town, town.people.zhou, 'houses', { address: '看护房', house_use: '1' }, COMMITTEE)
  await enter(page, town, street, '/buildings?area=310101002000')
  const list = page.getByRole('navigation', { name: '小区与楼栋' })
  await list.getByRole('button', { name: '没有门牌号的房屋' }).click()
  await expect(page.getByRole('gridcell').filter({ hasText: '看护房' })).toBeVisible()
})
