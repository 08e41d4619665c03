// Coming in and going out: passwords, the lock, the first password, the second factor, the end of a session.
import { createHmac } from 'node:crypto'
import { enter, expect, test } from './test'

/** The code that an authenticator app shows, some steps of 30 s away (RFC 6238). */
function code(secret: string, steps = 0): string {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
  const bits = [...secret].map(letter => letters.indexOf(letter).toString(2).padStart(5, '0')).join('')
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map(byte => Number.parseInt(byte, 2)))
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + steps))
  const digest = createHmac('sha1', key).update(counter).digest()
  const offset = (digest.at(-1) ?? 0) & 15
  return String((digest.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, '0')
}

test('five wrong passwords lock the account, and the page says so and for how long', async ({ page, town }) => {
  await town.person('lock.me', '金锁', 'supervisor')
  await page.goto(`${town.url}/sign-in`)
  await page.getByLabel('登录名').fill('lock.me')
  for (let tries = 0; tries < 5; tries++) {
    await page.getByLabel('密码', { exact: true }).fill(`Wrong-Guess-${tries}`)
    await page.keyboard.press('Enter')
    await expect(page.getByRole('alert')).toContainText(/登录名或密码|密码/)
    await expect(page.getByLabel('密码', { exact: true })).toHaveValue('')
  }
  await page.getByLabel('密码', { exact: true }).fill('Steady-Lamp-2026')
  await page.keyboard.press('Enter')
  await expect(page.getByRole('alert')).toContainText('账号已锁定')
  await expect(page.getByRole('alert')).toContainText(/1[45]:\d\d 后可以再试/)
  await expect(page.getByRole('button', { name: '登录' })).toBeDisabled()
  // The lock is that account's: a colleague signs in at the same page.
  const { zhou } = town.people
  await page.getByLabel('登录名').fill(zhou.login)
  await expect(page.getByRole('alert')).toHaveCount(0)
  await expect(page.getByRole('button', { name: '登录' })).toBeEnabled()
  await page.getByLabel('登录名').fill('Lock.Me')
  await expect(page.getByRole('alert')).toContainText('账号已锁定')
  await expect(page.getByRole('button', { name: '登录' })).toBeDisabled()
  await page.getByLabel('登录名').fill(zhou.login)
  await page.getByLabel('密码', { exact: true }).fill(zhou.password)
  await page.keyboard.press('Enter')
  await expect(page.getByRole('heading', { name: '工作台' })).toBeVisible()
})

test('a network address with too many tries waits, whoever signs in', async ({ page, town }) => {
  await page.route('**/api/auth/sign-in', route =>
    route.fulfill({
      status: 429,
      headers: { 'retry-after': '600' },
      json: { error: { code: 'too_many_tries', message: '这个网络地址登录失败次数过多，请 15 分钟后再试' } },
    }),
  )
  await page.goto(`${town.url}/sign-in`)
  await page.getByLabel('登录名').fill('some.one')
  await page.getByLabel('密码', { exact: true }).fill('Wrong-Guess-1')
  await page.keyboard.press('Enter')
  await expect(page.getByRole('alert')).toContainText('登录失败次数过多')
  await page.getByLabel('登录名').fill('some.other')
  await expect(page.getByRole('alert')).toContainText('后可以再试')
  await expect(page.getByRole('button', { name: '登录' })).toBeDisabled()
})

test('a first password is changed before anything else, and its faults are named', async ({ page, town }) => {
  const { temporary } = await town.account('newcomer', '新人', 'supervisor', '310101002001')
  await page.goto(`${town.url}/sign-in`)
  await page.getByLabel('登录名').fill('newcomer')
  await page.getByLabel('密码', { exact: true }).fill(temporary)
  await page.keyboard.press('Enter')
  await expect(page.getByRole('heading', { name: '设置新密码' })).toBeVisible()
  await page.goto(`${town.url}/conflicts`)
  await expect(page.getByRole('heading', { name: '设置新密码' })).toBeVisible()
  await page.getByLabel('当前密码').fill(temporary)
  await page.getByLabel('新密码', { exact: true }).fill('newcomer1')
  await page.getByLabel('再输一次新密码').fill('newcomer1')
  await page.getByRole('button', { name: '保存并进入' }).click()
  await expect(page.getByText(/不能包含登录名/).first()).toBeVisible()
  await page.getByLabel('新密码', { exact: true }).fill('Quiet-River-48')
  await page.getByLabel('再输一次新密码').fill('Quiet-River-48')
  await page.getByRole('button', { name: '保存并进入' }).click()
  await expect(page.getByRole('heading', { name: '工作台' })).toBeVisible()
})

test('a second factor is enrolled, and asked for at the next sign-in', async ({ page, town }) => {
  const person = await town.person('two.steps', '双因', 'supervisor')
  await enter(page, town, person, '/account')
  await page.getByRole('button', { name: '启用' }).click()
  await page.getByLabel('密码', { exact: true }).fill('Wrong-Guess-1')
  await page.getByRole('button', { name: '下一步' }).click()
  await expect(page.getByText('密码不对，请重新输入')).toBeVisible()
  await page.getByLabel('密码', { exact: true }).fill(person.password)
  await page.getByRole('button', { name: '下一步' }).click()
  const secret = (await page.locator('.secret').innerText()).replaceAll(' ', '')
  await page.getByLabel(/再把应用显示的/).fill(code(secret))
  await page.getByRole('button', { name: '确认启用' }).click()
  await expect(page.getByText('已启用：')).toBeVisible()
  await page.getByRole('button', { name: /^账号/ }).click()
  await page.getByRole('menuitem', { name: '退出登录' }).click()
  await page.getByLabel('登录名').fill(person.login)
  await page.getByLabel('密码', { exact: true }).fill(person.password)
  await page.keyboard.press('Enter')
  const field = page.getByLabel('动态验证码')
  await expect(field).toBeFocused()
  await field.fill('000000')
  await page.keyboard.press('Enter')
  await expect(page.getByText('动态验证码不对')).toBeVisible()
  // The present step was used to enrol; the next one is taken early.
  await field.fill(code(secret, 1))
  await page.keyboard.press('Enter')
  await expect(page.getByRole('heading', { name: '工作台' })).toBeVisible()
})

test('an administrator takes the second factor of who lost it away', async ({ page, town }) => {
  const person = await town.person('lost.codes', '失码', 'supervisor')
  const { password } = person
  const begun = await town.ask(person, 'POST', '/api/auth/second-factor', { password })
  await town.ask(person, 'POST', '/api/auth/second-factor/confirm', { code: code(String(begun['secret'])) })
  await enter(page, town, town.people.areas, `/users/${person.id}`)
  const button = page.getByRole('button', { name: '停用动态验证码' })
  await button.click()
  const dialog = page.getByRole('dialog', { name: '停用动态验证码' })
  await expect(dialog).toContainText('请先核实是本人')
  await dialog.getByRole('button', { name: '停用动态验证码' }).click()
  await expect(page.getByText('动态验证码已停用，对方用密码即可登录')).toBeVisible()
  await expect(button).toHaveCount(0)
  const opened = await town.ask(undefined, 'POST', '/api/auth/sign-in', { login: person.login, password })
  expect(opened['must_change_password']).toBe(false)
})

test('a session that was ended says so, and signing in again leads back', async ({ page, town }) => {
  const person = await town.person('cut.off', '断开', 'supervisor')
  await enter(page, town, person, '/account')
  const token = await page.evaluate(() => sessionStorage.getItem('doorstep.token') ?? '')
  await town.ask({ ...person, token }, 'POST', '/api/auth/sign-out')
  await page.getByRole('link', { name: '工作台' }).click()
  await expect(page.getByText('登录已失效，请重新登录')).toBeVisible()
  await page.getByLabel('登录名').fill(person.login)
  await page.getByLabel('密码', { exact: true }).fill(person.password)
  await page.keyboard.press('Enter')
  await expect(page.getByRole('heading', { name: '工作台' })).toBeVisible()
})

test('whoever leaves the desk is warned and signed out after half an hour', async ({ page, town }) => {
  await page.clock.install()
  await enter(page, town, town.people.he)
  await page.clock.fastForward('27:00')
  await page.keyboard.press('Shift')
  await page.clock.fastForward('28:30')
  await expect(page.getByRole('dialog', { name: '即将退出登录' })).toBeVisible()
  await page.getByRole('button', { name: '继续使用' }).click()
  await expect(page.getByRole('dialog', { name: '即将退出登录' })).toBeHidden()
  await page.clock.fastForward('31:00')
  await expect(page.getByText('长时间未操作，已自动退出')).toBeVisible()
  expect(await page.evaluate(() => sessionStorage.length)).toBe(0)
})

test('an address in the sign-in leads only within the console', async ({ page, town }) => {
  await page.goto(`${town.url}/sign-in?next=${encodeURIComponent('//elsewhere.example/x')}`)
  await page.getByLabel('登录名').fill(town.people.zhou.login)
  await page.getByLabel('密码', { exact: true }).fill(town.people.zhou.password)
  await page.keyboard.press('Enter')
  await expect(page.getByRole('heading', { name: '工作台' })).toBeVisible()
  expect(new URL(page.url()).origin).toBe(town.url)
})
