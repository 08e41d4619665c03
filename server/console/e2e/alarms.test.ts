// Alarms: who looks after security sees which device did what, is told of it, and comes from there to stopping it.
import { enter, expect, test } from './test'

test('a copied phone raises an alarm that leads to the phone, which is stopped', async ({ page, town }) => {
  await town.alarm('copied.phone', '何静')
  await enter(page, town, town.people.security)
  const told = page.getByRole('link', { name: /触发安全告警：用同一序号提交了不同的修改/ })
  await told.first().click()
  await expect(page).toHaveURL(/\/alarms$/)
  const row = page.getByRole('table', { name: '安全告警' }).locator('tbody tr', { hasText: '何静' })
  await expect(row).toContainText('用同一序号提交了不同的修改')
  await expect(row).toContainText('云南中路')
  await expect(row).toContainText('居民')
  await row.getByRole('link', { name: '何静的手机' }).click()
  await expect(page.getByRole('heading', { name: '何静的手机' })).toBeVisible()
  await page.getByRole('button', { name: '安全告警' }).click()
  await expect(page).toHaveURL(/\/alarms\?device=/)
  await expect(page.getByRole('table', { name: '安全告警' }).locator('tbody tr')).toHaveCount(1)
  await page.goBack()
  await page.getByRole('button', { name: '停用' }).click()
  const dialog = page.getByRole('dialog', { name: '停用设备' })
  await dialog.getByLabel('原因').fill('手机被复制')
  await dialog.getByRole('button', { name: '停用' }).click()
  await expect(page.getByText('已停用').first()).toBeVisible()
})

test('alarms are narrowed by kind, and what goes wrong is said', async ({ page, town }) => {
  await enter(page, town, town.people.security, '/alarms')
  await page.getByRole('combobox', { name: '告警' }).click({ force: true })
  await page.getByRole('option', { name: '上传批次不连续' }).click()
  await expect(page.getByText('没有符合条件的告警')).toBeVisible()
  await page.route('**/api/alarms?**', route =>
    route.fulfill({ status: 503, json: { error: { code: 'busy', message: '服务正忙，请稍后再试', fields: [] } } }),
  )
  await page.reload()
  await expect(page.getByRole('alert')).toContainText('服务正忙')
})

test('nobody else has alarms in the menu or behind their address', async ({ page, town }) => {
  await enter(page, town, town.people.zhou)
  await expect(page.getByRole('link', { name: '设备', exact: true })).toBeVisible()
  await expect(page.getByRole('link', { name: '安全告警' })).toHaveCount(0)
  await page.goto(`${town.url}/alarms`)
  await expect(page.getByText('您没有查看这个页面的权限')).toBeVisible()
})
