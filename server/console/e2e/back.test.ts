// Coming back to a long list: as much of it as was there, as far down, on the row one came from; and masked.
import type { Page } from '@playwright/test'
import { person } from './estate'
import { enter, expect, giving, test } from './test'

/** Pages of eight, so that a small town has long lists. */
async function shortPages(page: Page): Promise<void> {
  await page.route(/\/api\/residents\?/, route =>
    route.continue({ url: route.request().url().replace('limit=50', 'limit=8') }),
  )
}

const rows = (page: Page) => page.getByRole('table', { name: '人员' }).locator('tbody tr')
const scrolled = (page: Page) => page.locator('#page').evaluate(main => main.scrollTop)

/** Loads on until so many rows are there. */
async function more(page: Page, count: number): Promise<void> {
  for (let now = 8; now < count; now += 8) {
    await expect(rows(page)).toHaveCount(now)
    await page.getByRole('button', { name: '加载更多' }).click()
  }
  await expect(rows(page)).toHaveCount(count)
}

test('back from a file the list is as it was: pages, place and row, by mouse and keyboard, and masked', async ({
  page,
  town,
}) => {
  for (const name of ['申屠望舒', '申屠望月', '申屠望云']) await person(town, name)
  await shortPages(page)
  await enter(page, town, town.people.zhou, '/people?cancelled=any')
  await more(page, 24)
  const row = rows(page).nth(18)
  const masked = await row.locator('.name').innerText()
  await row.getByRole('button', { name: /看全部/ }).click()
  await giving(page, '办理服务事项')
  const clear = await row.locator('.name').innerText()
  expect(clear).not.toBe(masked)
  await row.locator('td').nth(1).click()
  await page.waitForURL('**/people/*')
  await expect(page.getByRole('button', { name: '查看完整信息' })).toBeVisible()

  await page.goBack()
  await expect(page).toHaveURL(`${town.url}/people?cancelled=any`)
  await expect(rows(page)).toHaveCount(24)
  await expect(row).toBeFocused()
  await expect(row).toBeInViewport({ ratio: 1 })
  await expect(row.locator('.name')).toHaveText(masked)
  expect(await page.content()).not.toContain(clear)

  // On with the keyboard, and back: as far down as before.
  await page.keyboard.press('j')
  await expect(rows(page).nth(19)).toBeFocused()
  const before = await scrolled(page)
  expect(before).toBeGreaterThan(0)
  await page.keyboard.press('Enter')
  await page.waitForURL('**/people/*')
  await expect(page.getByRole('button', { name: '查看完整信息' })).toBeVisible()
  await page.goBack()
  await expect(rows(page).nth(19)).toBeFocused()
  expect(Math.abs((await scrolled(page)) - before)).toBeLessThan(2)

  // By the link in a row, and after a reload of the file.
  await rows(page).nth(21).locator('.name').click()
  await page.waitForURL('**/people/*')
  await page.reload()
  await expect(page.getByRole('button', { name: '查看完整信息' })).toBeVisible()
  await page.goBack()
  await expect(rows(page)).toHaveCount(24)
  await expect(rows(page).nth(21)).toBeFocused()
})

test('another list, or the same one asked for anew, begins at its beginning', async ({ page, town }) => {
  await shortPages(page)
  await enter(page, town, town.people.zhou, '/people')
  await more(page, 16)
  await rows(page).nth(12).locator('.name').click()
  await page.waitForURL('**/people/*')
  await page.getByRole('navigation', { name: '主菜单' }).getByRole('link', { name: '人员' }).click()
  await expect(page).toHaveURL(`${town.url}/people`)
  await expect(rows(page)).toHaveCount(8)
  await expect(rows(page).locator(':scope:focus')).toHaveCount(0)
  const file = page.getByRole('button', { name: '查看完整信息' })
  await page.goBack()
  await expect(file).toBeVisible()
  await page.goBack()
  await expect(rows(page)).toHaveCount(16)
  await expect(rows(page).nth(12)).toBeFocused()
  await page.getByRole('combobox', { name: '档案状态' }).click({ force: true })
  await page.getByRole('option', { name: '在册和已注销' }).click()
  await expect(page).toHaveURL(/cancelled=any/)
  await expect(rows(page)).toHaveCount(8)
})

test('whoever begins to search while the list comes back is not interrupted', async ({ page, town }) => {
  await shortPages(page)
  await enter(page, town, town.people.zhou, '/people')
  await more(page, 16)
  await rows(page).nth(12).locator('.name').click()
  await page.waitForURL('**/people/*')
  await expect(page.getByRole('button', { name: '查看完整信息' })).toBeVisible()
  let go: () => void = () => undefined
  const held = new Promise<void>(done => (go = done))
  await page.route(/\/api\/residents\?.*cursor=/, async route => {
    await held
    await route.fallback()
  })
  await page.goBack()
  const box = page.getByRole('searchbox', { name: '查找人员' })
  await box.focus()
  go()
  await expect(rows(page)).toHaveCount(16)
  await expect(rows(page).nth(12)).toBeInViewport()
  await expect(box).toBeFocused()
})

test('a link back to the list leads to where one was in it', async ({ page, town }) => {
  await shortPages(page)
  await enter(page, town, town.people.zhou, '/people?cancelled=any')
  await more(page, 16)
  // Somebody else has erased the file meanwhile.
  await page.route(/\/api\/residents\/[0-9a-f-]+$/, route =>
    route.fulfill({ status: 404, json: { error: { code: 'not_found', message: '没有找到这份档案' } } }),
  )
  await rows(page).nth(11).locator('.name').click()
  await page.getByRole('link', { name: '回到列表' }).click()
  await expect(page).toHaveURL(`${town.url}/people?cancelled=any`)
  await expect(rows(page)).toHaveCount(16)
  await expect(rows(page).nth(11)).toBeFocused()
})

test('back from a file the queue is as it was, at its item; and from the item at its entry', async ({ page, town }) => {
  const { he } = town.people
  for (const names of [
    ['姓名=司空远', '姓名=司空源'],
    ['姓名=司空景', '姓名=司空璟'],
    ['姓名=司空亭', '姓名=司空庭'],
  ] as [string, string][]) {
    const { conflict } = await town.dispute(names)
    await town.ask(he, 'PUT', `/api/conflicts/${conflict}/assignee`, { assignee: he.id })
  }
  await page.route(/\/api\/conflicts\?/, route =>
    route.continue({ url: route.request().url().replace('limit=50', 'limit=1') }),
  )
  await enter(page, town, he, '/conflicts?assignee=me')
  const list = page.getByRole('region', { name: '事项列表' }).getByRole('link')
  for (let count = 1; count <= 3; count++) {
    await expect(list).toHaveCount(Math.max(1, count - 1))
    await page.keyboard.press('j')
    await expect(list.nth(count - 1)).toHaveAttribute('aria-current', 'true')
  }
  await page.getByRole('link', { name: '打开居民档案' }).click()
  await page.waitForURL('**/people/*')
  await expect(page.getByRole('button', { name: '查看完整信息' })).toBeVisible()
  await page.goBack()
  await expect(list).toHaveCount(3)
  await expect(list.nth(2)).toHaveAttribute('aria-current', 'true')
  await expect(list.nth(2)).toBeFocused()

  // On a narrow screen list and item take turns.
  await page.setViewportSize({ width: 800, height: 700 })
  await page.getByRole('link', { name: '回到列表' }).click()
  await expect(page).toHaveURL(`${town.url}/conflicts?assignee=me`)
  await expect(list.nth(2)).toBeFocused()
  await expect(list.nth(2)).toBeInViewport()
})
