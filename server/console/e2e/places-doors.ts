// The pages without the shell that are pictured and checked for access: the sign-in in each of its states, the first
// password.
import type { Page } from '@playwright/test'
import type { Place } from './places'
import { COMMITTEE } from './town'

/** Whoever comes for the first time: made with the address, needed to go in. */
let newcomer = { login: '', temporary: '' }

async function signIn(page: Page, login: string, password: string): Promise<void> {
  await page.getByLabel('登录名').fill(login)
  await page.getByLabel('密码', { exact: true }).fill(password)
  await page.keyboard.press('Enter')
}

/** What the server answers to a sign-in that stops half way. */
async function refusing(page: Page, status: number, code: string, message: string, retry?: string): Promise<void> {
  await page.route('**/api/auth/sign-in', route =>
    route.fulfill({ status, json: { error: { code, message } }, ...(retry && { headers: { 'retry-after': retry } }) }),
  )
  await signIn(page, 'zhou.min', 'Some-Guess-1')
}

export const doors: Place[] = [
  { name: 'sign-in', path: () => '/sign-in', ready: page => page.getByLabel('登录名').waitFor() },
  {
    name: 'sign-in-code',
    path: () => '/sign-in',
    ready: async page => {
      await refusing(page, 401, 'second_factor_required', '请输入动态验证码')
      await page.getByLabel('动态验证码').waitFor()
    },
  },
  {
    name: 'sign-in-locked',
    path: () => '/sign-in',
    ready: async page => {
      await refusing(page, 429, 'account_locked', '失败次数过多，账号已锁定，请约 15 分钟后再试', '873')
      await page.getByText('后可以再试').waitFor()
    },
  },
  {
    name: 'first-password',
    route: '/first-password',
    path: async town => {
      const login = `first.${Date.now()}`
      const { temporary } = await town.account(login, '初来', 'supervisor', COMMITTEE)
      newcomer = { login, temporary }
      return '/sign-in'
    },
    ready: async page => {
      await signIn(page, newcomer.login, newcomer.temporary)
      await page.getByRole('heading', { name: '设置新密码' }).waitFor()
    },
  },
]
