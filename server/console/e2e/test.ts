// What every test begins with: the town, and a page on which nothing may go wrong unseen.
import { test as base, expect, type Page } from '@playwright/test'
import { Town, type Person } from './town'

export const test = base.extend<{ faults: string[] }, { town: Town }>({
  town: [
    async ({}, use) => {
      const town = await Town.build()
      await use(town)
      await town.close()
    },
    { scope: 'worker', timeout: 240_000 },
  ],
  /** Scripts that failed and what the page's policy stopped; a test fails if there is any. */
  faults: [
    async ({ page }, use) => {
      const faults: string[] = []
      watch(page, faults)
      await use(faults)
      expect(faults, 'faults of the page').toEqual([])
    },
    { auto: true },
  ],
})

export { expect }

/** Notes what goes wrong on a page. */
export function watch(page: Page, faults: string[]): void {
  page.on('pageerror', error => faults.push(error.message))
  page.on('dialog', dialog => {
    faults.push(`a dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  page.on('console', message => {
    const text = message.text()
    if (/Content.Security.Policy|\[Vue warn\]|ElementPlusError/.test(text)) faults.push(text)
  })
}

/** Signs in and goes to a page. */
export async function enter(page: Page, town: Town, person: Person, path = '/'): Promise<void> {
  await page.goto(`${town.url}/sign-in${path === '/' ? '' : `?next=${encodeURIComponent(path)}`}`)
  await page.getByLabel('登录名').fill(person.login)
  await page.getByLabel('密码', { exact: true }).fill(person.password)
  await page.keyboard.press('Enter')
  await page.waitForURL(url => !url.pathname.startsWith('/sign-in'))
  await page.locator('#page').waitFor()
}

/** Gives a purpose in the dialog that asks for one. */
export async function giving(page: Page, purpose: string): Promise<void> {
  const dialog = page.getByRole('dialog', { name: /^查看完整信息/ })
  await dialog.getByText(purpose).click()
  await dialog.getByRole('button', { name: '查看', exact: true }).click()
  await expect(dialog).toBeHidden()
}

/** Counts the pictures that the page holds in memory, from its next loading on. */
export async function pictures(page: Page): Promise<() => Promise<number>> {
  await page.addInitScript(() => {
    const held = new Set<string>()
    Object.assign(window, { held })
    const [make, revoke] = [URL.createObjectURL.bind(URL), URL.revokeObjectURL.bind(URL)]
    URL.createObjectURL = of => {
      const url = make(of)
      held.add(url)
      return url
    }
    URL.revokeObjectURL = url => {
      held.delete(url)
      revoke(url)
    }
  })
  return () => page.evaluate(() => (window as unknown as { held: Set<string> }).held.size)
}

/** Confirms, from the keyboard, what the dialog says a decision comes to. */
export async function confirm(page: Page): Promise<void> {
  await expect(page.getByRole('button', { name: '确认裁决' })).toBeFocused()
  await page.keyboard.press('Enter')
  await expect(page.locator('.el-message', { hasText: '已裁决' })).toBeVisible()
  await expect(page.locator('[aria-modal=true]:visible')).toHaveCount(0)
}
