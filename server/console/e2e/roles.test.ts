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

test('an area administrator is told why a number finds nobody', async ({ page, town }) => {
  await enter(page, town, town.people.areas, '/people?text=13800009999')
  await expect(page.getByText('不能按号码或尾号查找')).toBeVisible()
})

test('a supervisor of another street sees neither the list nor the item', async ({ page, town }) => {
  const { conflict } = await town.dispute(['姓名=方正', '姓名=方政'])
  await enter(page, town, town.people.elsewhere, '/conflicts')
  await expect(page.getByText('全部裁决完毕')).toBeVisible()
  await page.goto(`${town.url}/conflicts/${conflict}`)
  await expect(page.getByRole('alert')).toContainText('不在您负责的区划内')
})

test('an auditor has a desk without anything of residents', async ({ page, town }) => {
  await enter(page, town, town.people.auditor)
  await expect(page.getByRole('link', { name: '待裁决' })).toHaveCount(0)
  await expect(page.getByText('您的角色没有待办事项')).toBeVisible()
})

test('a supervisor and an auditor read who may do what, and change none of it', async ({ page, town, browser }) => {
  await enter(page, town, town.people.zhou, '/users')
  await page.getByRole('link', { name: '李静' }).click()
  await expect(page.getByRole('table', { name: '授权' })).toContainText('采集员')
  await expect(page.getByText('您可以查看账号、授权和权限来源')).toBeVisible()
  const theirs = await (await browser.newContext()).newPage()
  await enter(theirs, town, town.people.auditor, `/users/${town.people.zhou.id}`)
  await expect(theirs.getByRole('table', { name: '为什么可以' })).toContainText('裁决冲突')
  for (const one of [page, theirs]) {
    await expect(one.getByRole('button', { name: '授予角色' })).toHaveCount(0)
    await expect(one.getByRole('button', { name: '收回' })).toHaveCount(0)
    await one.getByRole('link', { name: '用户与授权' }).click()
    await expect(one.getByRole('table', { name: '用户' }).locator('tbody tr').first()).toBeVisible()
    await expect(one.getByRole('button', { name: '新建用户' })).toHaveCount(0)
    await one.keyboard.press('n')
    await expect(one.getByRole('dialog')).toHaveCount(0)
  }
  await theirs.context().close()
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
