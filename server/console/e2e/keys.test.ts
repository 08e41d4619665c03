// The help lists every key that works.
import { enter, expect, test } from './test'
import { COMMITTEE } from './town'

test('the help lists the keys that elements listen to by themselves', async ({ page, town }) => {
  const help = page.getByRole('dialog', { name: '快捷键' })
  await enter(page, town, town.people.zhou, '/people')
  await page.getByRole('table', { name: '人员' }).getByRole('row').nth(2).waitFor()
  await page.keyboard.press('?')
  await expect(help.getByText('在查找框中：到结果的第一行')).toHaveCount(2)
  await page.keyboard.press('Escape')
  await page.getByRole('table', { name: '人员' }).getByRole('row').nth(1).click()
  await page.getByRole('button', { name: '编辑', exact: true }).click()
  await page.getByRole('form', { name: '编辑档案' }).waitFor()
  await page.locator('main').focus()
  await page.keyboard.press('?')
  await expect(help.getByText('Ctrl + 回车')).toBeVisible()
  await page.keyboard.press('Escape')
  await page.goto(`${town.url}/buildings?area=${COMMITTEE}`)
  await page.getByRole('gridcell').first().waitFor()
  await page.keyboard.press('?')
  for (const text of ['上一层', '下一层', '左边一户', '右边一户', '本层第一户', '本层最后一户', '上一栋', '下一栋'])
    await expect(help.getByText(text)).toBeVisible()
})
