// Who sees what: the menu, the pages, the actions follow the rights, and the server refuses what a page might ask.
import { enter, expect, test } from './test'

test('a collector sees no queue, and its address says why', async ({ page, town }) => {
  await enter(page, town, town.people.chen)
  await expect(page.getByRole('link', { name: '待裁决' })).toHaveCount(0)
  await page.goto(`${town.url}/conflicts`)
  await expect(page.getByText('您没有查看这个页面的权限')).toBeVisible()
})

test('an area administrator reads the queue and decides nothing in it', async ({ page, town }) => {
  const { conflict } = await town.dispute(['姓名=丁香', '姓名=丁湘'])
  await enter(page, town, town.people.areas, `/conflicts/${conflict}`)
  await expect(page.locator('.card').first()).toBeVisible()
  await expect(page.getByText('裁决由本区划的主管办理')).toBeVisible()
  await expect(page.getByRole('toolbar')).toHaveCount(0)
  await page.keyboard.press('1')
  await expect(page.getByRole('dialog')).toHaveCount(0)
})

test('a supervisor of another street sees neither the list nor the item', async ({ page, town }) => {
  const { conflict } = await town.dispute(['姓名=方正', '姓名=方政'])
  await enter(page, town, town.people.elsewhere, '/conflicts')
  await expect(page.getByText('全部裁决完毕')).toBeVisible()
  await page.goto(`${town.url}/conflicts/${conflict}`)
  await expect(page.getByRole('alert')).toContainText('找不到')
})

test('an auditor has a desk without anything of residents', async ({ page, town }) => {
  await enter(page, town, town.people.auditor)
  await expect(page.getByRole('link', { name: '待裁决' })).toHaveCount(0)
  await expect(page.getByText('您的角色没有待办事项')).toBeVisible()
})

test('rights that are given reach an open page', async ({ page, town }) => {
  const person = await town.person('late.comer', '后来', 'collector')
  await enter(page, town, person)
  await expect(page.getByRole('link', { name: '待裁决' })).toHaveCount(0)
  await expect(page.getByText('实时更新已连接')).toBeAttached()
  const grant = { role: 'supervisor', area: '310101002001' }
  await town.ask(town.people.areas, 'POST', `/api/users/${person.id}/grants`, grant)
  await expect(page.getByRole('link', { name: '待裁决' })).toBeVisible()
})
