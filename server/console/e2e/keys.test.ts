// The keys of tables go to the table that has the focus, and the help lists what works.
import { enter, expect, test } from './test'
import { COMMITTEE } from './town'

const conflict = (id: string, title: string) => ({
  id,
  kind: 'field',
  kind_label: '字段冲突',
  area: COMMITTEE,
  record: id,
  record_type: 'resident',
  title,
  status: 'open',
  opened_at: '2026-11-20T01:00:00Z',
  due_at: '2027-11-27T01:00:00Z',
  overdue: false,
  version: 1,
})
const ITEMS = [1, 2, 3].map(n => conflict(`01890000-0000-7000-8000-00000000000${n}`, `第${n}项`))
const DUE = [1, 2].map(n => ({
  record: `01890000-0000-7000-8000-0000000000a${n}`,
  record_type: 'resident',
  title: `李*${n}`,
  area: COMMITTEE,
  due_on: '2026-11-20',
  last_visit: ITEMS[0]?.id,
  last_at: '2026-11-01T01:00:00Z',
  user: ITEMS[0]?.id,
  user_name: '李静',
}))

test('on the desk j, k and Enter go to the table that has the focus', async ({ page, town }) => {
  await page.route('**/api/conflicts?*', route =>
    route.fulfill({
      json: { items: ITEMS, next: null, counts: [{ kind: 'field', label: '字段', count: 3, overdue: 0 }] },
    }),
  )
  await page.route('**/api/visits/due?*', route => route.fulfill({ json: { items: DUE, next: null } }))
  await enter(page, town, town.people.zhou)
  const queue = page.getByRole('table', { name: '最先到期的事项' }).locator('tbody tr')
  const due = page.getByRole('table', { name: '到期走访' }).locator('tbody tr')
  await expect(queue).toHaveCount(3)
  await expect(due).toHaveCount(2)
  // Without a focus: the page's first.
  await page.locator('main').focus()
  await page.keyboard.press('j')
  await expect(queue.nth(0)).toBeFocused()
  await due.nth(0).focus()
  await page.keyboard.press('j')
  await expect(due.nth(1)).toBeFocused()
  await page.keyboard.press('?')
  const help = page.getByRole('dialog', { name: '快捷键' })
  await expect(help.getByText('下一行', { exact: true })).toHaveCount(1)
  await page.keyboard.press('Escape')
  await expect(help).toBeHidden()
  // From a link inside a row as well; and Enter opens what has the focus, though the other table was walked last.
  await queue.nth(0).focus()
  await page.keyboard.press('j')
  await expect(queue.nth(1)).toBeFocused()
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(`${town.url}/conflicts/${ITEMS[1]?.id ?? ''}`)
})

test('Enter opens the row that has the focus after the list came anew without the rows before it', async ({
  page,
  town,
}) => {
  let items = ITEMS
  await page.route('**/api/conflicts?*', route =>
    route.fulfill({ json: { items, next: null, counts: [{ kind: 'field', label: '字段', count: 3, overdue: 0 }] } }),
  )
  await page.clock.install()
  await enter(page, town, town.people.zhou)
  const queue = page.getByRole('table', { name: '最先到期的事项' }).locator('tbody tr')
  await expect(queue).toHaveCount(3)
  await queue.nth(1).focus()
  items = ITEMS.slice(1)
  await page.clock.fastForward('01:01')
  await expect(queue).toHaveCount(2)
  await expect(queue.nth(0)).toBeFocused()
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(`${town.url}/conflicts/${ITEMS[1]?.id ?? ''}`)
})

test('the help lists the keys that elements listen to by themselves', async ({ page, town }) => {
  const help = page.getByRole('dialog', { name: '快捷键' })
  await enter(page, town, town.people.zhou, '/people')
  await page.getByRole('table', { name: '人员' }).getByRole('row').nth(2).waitFor()
  await page.keyboard.press('?')
  await expect(help.getByText('在查找框中：到结果的第一行')).toHaveCount(2)
  await expect(help.getByText('表格内下一行')).toBeVisible()
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
