// A session lasts as long as the person works, and what they typed outlasts it; a server that is away ends nothing.
import type { Page } from '@playwright/test'
import { household } from './estate'
import { enter, expect, test } from './test'
import { COMMITTEE, type Person, type Town } from './town'

/** Opens the editor of a new person's file; gives the file's address and the input that is typed into. */
async function editing(page: Page, town: Town, by: Person) {
  const { people } = await household(town, town.people.zhou, COMMITTEE)
  const path = `/people/${people[0] ?? ''}`
  await enter(page, town, by, path)
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
  await page.keyboard.press('e')
  return { path, typed: page.getByRole('form', { name: '编辑档案' }).getByLabel('工作单位') }
}

async function signIn(page: Page, { login, password }: Person): Promise<void> {
  await page.getByLabel('登录名').fill(login)
  await page.getByLabel('密码', { exact: true }).fill(password)
  await page.keyboard.press('Enter')
}

/** Ends the page's session at the server, as its own idleness there would, and lets the page find out. */
async function cut(page: Page, town: Town, person: Person): Promise<void> {
  const token = await page.evaluate(() => sessionStorage.getItem('doorstep.token') ?? '')
  await town.ask({ ...person, token }, 'POST', '/api/auth/sign-out')
  await page.getByRole('form', { name: '编辑档案' }).getByRole('button', { name: '保存' }).click()
  await expect(page.getByRole('heading', { name: '登录' })).toBeVisible()
}

test('who types is asked for every ten minutes, and who does nothing is not', async ({ page, town }) => {
  await page.clock.install()
  const { typed } = await editing(page, town, town.people.zhou)
  await typed.fill('望江')
  let asked = 0
  page.on('request', request => {
    if (request.url().endsWith('/api/auth/me')) asked++
  })
  await page.clock.fastForward('09:00')
  await typed.press('End')
  expect(asked).toBe(0)
  const answered = page.waitForResponse('**/api/auth/me')
  await page.clock.fastForward('01:30')
  await (await answered).finished()
  await page.waitForTimeout(200)
  expect(asked).toBe(1)
  // Nothing was done since: the request itself is no doing.
  await page.clock.fastForward('15:00')
  await page.waitForTimeout(300)
  expect(asked).toBe(1)
  await typed.press('End')
  await expect(typed).toHaveValue('望江')
  await page.clock.fastForward('00:02')
  await expect.poll(() => asked).toBe(2)
})

test('to stay asks the server at once', async ({ page, town }) => {
  await page.clock.install()
  await enter(page, town, town.people.he, '/account')
  await page.clock.fastForward('28:30')
  const dialog = page.getByRole('dialog', { name: '即将退出登录' })
  await expect(dialog).toBeVisible()
  const asked = page.waitForRequest('**/api/auth/me')
  await dialog.getByRole('button', { name: '继续使用' }).click()
  await asked
  await expect(dialog).toBeHidden()
})

test('what was typed when the session ended is there after the same person signs in again', async ({ page, town }) => {
  const { path, typed } = await editing(page, town, town.people.zhou)
  await typed.fill('望江茶楼')
  await cut(page, town, town.people.zhou)
  expect(await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }))).not.toContain('望江')
  await signIn(page, town.people.zhou)
  await page.waitForURL(`**${path}`)
  await expect(typed).toHaveValue('望江茶楼')
  await expect(page.getByText('您上次没有保存的修改还在这里')).toBeVisible()
  await page.getByRole('form', { name: '编辑档案' }).getByRole('button', { name: '保存' }).click()
  await expect(typed).toHaveCount(0)
  await town.sync('li')
  expect(JSON.stringify(await town.device('li', 'show', path.slice('/people/'.length)))).toContain('望江茶楼')
})

/** Leaves by oneself, and comes in as someone. */
async function change(page: Page, to: Person): Promise<void> {
  await page.getByRole('button', { name: /^账号/ }).click()
  await page.getByRole('menuitem', { name: '退出登录' }).click()
  await expect(page.getByRole('heading', { name: '登录' })).toBeVisible()
  await signIn(page, to)
  await expect(page.getByRole('heading', { name: '工作台' })).toBeVisible()
}

/** Goes to a file without loading the page anew, which would forget everything. */
async function goTo(page: Page, path: string): Promise<void> {
  await page.evaluate(to => {
    const state = { ...(history.state as object), current: to }
    history.pushState(state, '', to)
    dispatchEvent(new PopStateEvent('popstate', { state }))
  }, path)
  await expect(page.getByRole('button', { name: '编辑', exact: true })).toBeVisible()
}

test('what one person typed is gone when another signs in', async ({ page, town }) => {
  const { zhou, he } = town.people
  const { path, typed } = await editing(page, town, zhou)
  await typed.fill('望江茶楼')
  await cut(page, town, zhou)
  await signIn(page, he)
  await page.waitForURL(`**${path}`)
  await expect(page.getByRole('button', { name: '编辑', exact: true })).toBeVisible()
  await page.keyboard.press('e')
  await expect(typed).toHaveValue('')
  await change(page, zhou)
  await goTo(page, path)
  await page.keyboard.press('e')
  await expect(typed).toHaveValue('')
})

test('who leaves by oneself leaves nothing behind', async ({ page, town }) => {
  const { zhou } = town.people
  const { path, typed } = await editing(page, town, zhou)
  await typed.fill('望江茶楼')
  await change(page, zhou)
  await goTo(page, path)
  await page.keyboard.press('e')
  await expect(typed).toHaveValue('')
})

test('a server that is away when the page is loaded ends no session', async ({ page, town }) => {
  await enter(page, town, town.people.zhou, '/people')
  const answers = [
    { status: 503, body: 'down' },
    { status: 429, headers: { 'retry-after': '5' }, json: { error: { code: 'busy', message: '请求太多' } } },
  ]
  let tries = 0
  await page.route('**/api/auth/me', route => {
    const answer = answers[tries++]
    return answer ? route.fulfill(answer) : tries === 3 ? route.abort() : route.continue()
  })
  await page.reload()
  await expect(page.getByRole('alert')).toContainText('服务器暂时不能处理请求')
  await page.getByRole('button', { name: '重试' }).click()
  await expect(page.getByRole('alert')).toContainText('请求太多')
  await page.getByRole('button', { name: '重试' }).click()
  await expect(page.getByRole('alert')).toContainText('连接不上服务器')
  await expect(page).toHaveURL(`${town.url}/people`)
  await page.getByRole('button', { name: '重试' }).click()
  await expect(page.getByRole('table', { name: '人员' }).getByRole('row').nth(2)).toBeVisible()
  expect(tries).toBe(4)
})
