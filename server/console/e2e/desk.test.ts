// The desk: what it says leads to what it speaks of.
import type { Page } from '@playwright/test'
import { enter, expect, test } from './test'
import { COMMITTEE } from './town'

test('each message opens what it speaks of', async ({ page, town }) => {
  const reader = await town.person('reads.messages', '读讯', 'supervisor')
  const { conflict, resident } = await town.dispute(['姓名=齐安', '姓名=齐岸'])
  await town.ask(town.people.zhou, 'PUT', `/api/conflicts/${conflict}/assignee`, { assignee: reader.id })
  const csv = '社区人员编号,姓名,性别,人员类别\nZ901,闻讯,女,人户一致\n'
  await town.bring(reader, 'resident', COMMITTEE, csv)

  await enter(page, town, reader)
  const messages = page.getByRole('region', { name: '消息' })
  await messages.getByRole('link', { name: /导入完成.*查看导入/ }).click()
  await expect(page.getByRole('heading', { name: '导入完成' })).toBeVisible()
  await page.goBack()
  // From the keyboard, as a link is.
  const assigned = messages.getByRole('link', { name: /查看待裁决事项/ })
  await assigned.focus()
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(`${town.url}/conflicts/${conflict}`)
  await expect(page.locator('.card').first()).toBeVisible()

  // What is known by its id alone is asked what it is.
  await page.goto(`${town.url}/records/${resident.id}`)
  await expect(page).toHaveURL(`${town.url}/people/${resident.id}`)
  await page.goto(`${town.url}/records/${town.house().id}`)
  await expect(page).toHaveURL(/\/houses\//)
  await page.goto(`${town.url}/records/01890000-0000-7000-8000-000000000001`)
  await expect(page.getByRole('heading', { level: 1 })).toContainText('找不到')
})

test('a message about what the reader may not open is words alone', async ({ page, town }) => {
  const reader = await town.person('was.supervisor', '曾任', 'supervisor')
  const { conflict } = await town.dispute(['姓名=齐平', '姓名=齐萍'])
  await town.ask(town.people.zhou, 'PUT', `/api/conflicts/${conflict}/assignee`, { assignee: reader.id })
  const grants = await town.ask(town.people.areas, 'GET', `/api/users/${reader.id}/grants`)
  const collector = { role: 'collector', area: COMMITTEE }
  await town.ask(town.people.areas, 'POST', `/api/users/${reader.id}/grants`, collector)
  for (const grant of grants as unknown as { id: string }[]) {
    await town.ask(town.people.areas, 'DELETE', `/api/grants/${grant.id}`)
  }
  await enter(page, town, reader)
  const messages = page.getByRole('region', { name: '消息' })
  await expect(messages.getByRole('listitem')).toHaveCount(1)
  await expect(messages.getByRole('link')).toHaveCount(0)
})

/** Answers a list by pages of fifty; the cursor is where it goes on. */
async function answer(page: Page, path: string, items: object[]): Promise<void> {
  await page.route(path, route => {
    const from = Number(new URL(route.request().url()).searchParams.get('cursor') ?? 0)
    const next = from + 50 < items.length ? String(from + 50) : null
    return route.fulfill({ json: { items: items.slice(from, from + 50), next } })
  })
}

test('what the desk alone shows can be seen to its end', async ({ page, town }) => {
  const id = (n: number) => `01890000-0000-7000-8000-${String(n).padStart(12, '0')}`
  const many = Array.from({ length: 60 }, (_, n) => n + 1)
  await answer(
    page,
    '**/api/visits/due?*',
    many.map(n => ({
      record: id(n),
      record_type: 'resident',
      title: `李*${n}`,
      area: COMMITTEE,
      due_on: '2026-11-20',
      last_visit: id(n),
      last_at: '2026-11-01T01:00:00Z',
      user: id(n),
      user_name: '李静',
    })),
  )
  await answer(
    page,
    '**/api/checks?*',
    many.map(n => ({
      id: id(n),
      kind_label: '居住核查',
      question: `核查之${n}`,
      area: COMMITTEE,
      due_at: '2026-11-20T01:00:00Z',
      resident: id(n),
      conflict: null,
    })),
  )
  await enter(page, town, town.people.zhou)
  for (const [name, last] of [
    ['到期走访', '李*60'],
    ['超期未答复的核查', '核查之60'],
  ] as const) {
    const card = page.getByRole('region', { name })
    await expect(card.getByRole('row')).toHaveCount(51)
    await expect(card).toContainText('已显示 50 条，还有更多')
    await card.getByRole('button', { name: '加载更多' }).click()
    await expect(card.getByRole('row')).toHaveCount(61)
    await expect(card).toContainText(last)
    await expect(card).toContainText('共 60 条')
  }
  await expect(page.getByRole('region', { name: '到期走访' })).toContainText('李静')
})
