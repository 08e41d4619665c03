// Ledgers: what the register noted by itself, found by area and kind.
import { household } from './estate'
import { enter, expect, test } from './test'
import { COMMITTEE } from './town'

test('population changes are counted in a chart with the same numbers as a table, and listed', async ({
  page,
  town,
}) => {
  await household(town, town.people.zhou, COMMITTEE)
  await enter(page, town, town.people.zhou, '/ledgers')
  await expect(page.locator('canvas')).toBeVisible()
  const counted = page.getByRole('table', { name: '各区划的人口变动' })
  await expect(counted.getByRole('columnheader', { name: '迁入' })).toBeAttached()
  const listed = page.getByRole('table', { name: '人口变动', exact: true })
  await expect(listed.getByRole('row').nth(1)).toContainText('迁入')
  await page.locator('.el-select', { hasText: '全部变动' }).click()
  await page.getByRole('option', { name: '死亡' }).click()
  await expect(page.getByText('这段时间没有记录')).toBeVisible()
  expect(new URL(page.url()).searchParams.get('what')).toBe('death')
})

test('the household register is searched, and tells where its people are', async ({ page, town }) => {
  const { people } = await household(town, town.people.zhou, COMMITTEE)
  await enter(page, town, town.people.zhou, '/ledgers?tab=register')
  const rows = page.getByRole('table', { name: '户籍人员' }).getByRole('row')
  await page.getByRole('searchbox', { name: '查找户籍人员' }).fill('乔安民')
  await expect(rows.filter({ hasText: '人户一致' }).first()).toContainText('乔**')
  await page.locator('.el-select', { hasText: '全部分类' }).click()
  await page.getByRole('option', { name: '出国（境）' }).click()
  await expect(page.getByText('没有符合条件的户籍人员')).toBeVisible()
  await page.goto(`${town.url}/people/${people[0] ?? ''}`)
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('乔**')
})

test('who lived in a house that is no more is found among the former residents', async ({ page, town }) => {
  const { house } = await household(town, town.people.zhou, COMMITTEE)
  await enter(page, town, town.people.zhou, `/houses/${house}`)
  await page.getByRole('button', { name: '注销' }).click()
  await page.getByRole('dialog').getByRole('combobox', { name: '注销原因' }).click()
  await page.getByRole('option', { name: '房屋拆除' }).click()
  await page.getByRole('dialog').getByRole('button', { name: '注销' }).click()
  await expect(page.locator('.about').getByText('已注销')).toBeVisible()
  await page.goto(`${town.url}/ledgers?tab=former`)
  const rows = page.getByRole('table', { name: '历史居民' }).getByRole('row')
  await expect(rows.filter({ hasText: '关系终止' }).first()).toBeVisible()
})
