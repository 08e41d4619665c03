// What a file shows in clear, while it is edited and behind other tabs: nothing stays that the person did not type, and
// nothing is fetched, and written down as seen, that nobody sees.
import type { Locator, Page } from '@playwright/test'
import { household, person } from './estate'
import { enter, expect, giving, pictures, test } from './test'
import { COMMITTEE, type Town } from './town'

const guardian = (name: string, phone: string) => JSON.stringify({ name, relation: '24', phone })

/** A person with guardians, opened in the editor. */
async function editor(page: Page, town: Town, name: string): Promise<{ id: string; form: Locator }> {
  const id = await person(town, name, {
    phone: '13912345678',
    workplace: '望江茶楼',
    'guardians/a': guardian('闻人守一', '13811110001'),
    'guardians/b': guardian('闻人守二', '13811110002'),
    'guardians/c': guardian('闻人守三', '13811110003'),
  })
  await page.clock.install()
  await enter(page, town, town.people.zhou, `/people/${id}`)
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
  await page.keyboard.press('e')
  return { id, form: page.getByRole('form', { name: '编辑档案' }) }
}

async function reveal(page: Page): Promise<void> {
  await page.getByRole('button', { name: '查看完整信息' }).click()
  await giving(page, '裁决或更正信息')
}

const field = (form: Locator, label: string) =>
  form.locator('.field', { has: form.page().getByText(label, { exact: true }) })
const guardians = (form: Locator) => form.getByRole('group', { name: '监护人', exact: true }).locator('.item')

/** All that the page shows, inputs included. */
async function seen(page: Page): Promise<string> {
  const typed = await page
    .locator('input, textarea')
    .evaluateAll(all => all.map(one => (one as HTMLInputElement).value))
  return [await page.content(), ...typed].join('\n')
}

for (const [how, mask] of [
  ['taken back', (page: Page) => page.getByRole('button', { name: '重新遮挡' }).click()],
  ['by time', (page: Page) => page.clock.fastForward('05:01')],
] as const) {
  test(`what is typed stays when the file is masked again, what was only revealed does not: ${how}`, async ({
    page,
    town,
  }) => {
    const { id, form } = await editor(page, town, how === 'by time' ? '闻人见山' : '闻人见水')
    await reveal(page)
    const phone = form.getByLabel('手机号码')
    await expect(phone).toHaveValue('13912345678')
    // Typed and typed back: nobody's edit. One guardian gets another number, one is taken out, one stays as it is.
    await phone.fill('13900000000')
    await phone.fill('13912345678')
    await form.getByLabel('工作单位').fill('望江书屋')
    const items = guardians(form)
    await items.nth(0).getByLabel('监护人电话').fill('13800009999')
    await items.nth(1).getByRole('button', { name: '移除' }).click()
    await expect(items).toHaveCount(2)
    await expect(form.getByText('有 3 项修改尚未保存')).toBeVisible()
    expect(await seen(page)).toContain('13811110003')

    await mask(page)
    await expect(page.getByText('正在显示完整信息')).toHaveCount(0)
    await expect(phone).toHaveValue('')
    await expect(field(form, '手机号码').locator('input')).toHaveAttribute('placeholder', /139\*{4}5678/)
    await expect(form.getByLabel('工作单位')).toHaveValue('望江书屋')
    await expect(items).toHaveCount(2)
    await expect(items.nth(0)).toContainText('13800009999')
    const shown = await seen(page)
    for (const clear of ['13912345678', '1381111', '闻人守', '望江茶楼']) expect(shown).not.toContain(clear)

    // An item is written whole: it is seen again before it is saved, and nothing that stands in stars is written.
    await expect(form.getByText('监护人的修改已保留，请再次查看完整信息')).toBeVisible()
    await expect(form.getByRole('button', { name: '保存' })).toBeDisabled()
    await reveal(page)
    await expect(items.nth(0).getByLabel('监护人姓名')).toHaveValue('闻人守一')
    await expect(items.nth(0).getByLabel('监护人电话')).toHaveValue('13800009999')
    await form.getByRole('button', { name: '保存' }).click()
    await expect(form).toHaveCount(0)
    const path = `/api/records/${id}/reveal`
    const { fields } = (await town.ask(town.people.zhou, 'POST', path, { purpose: 'correction' })) as {
      fields: Record<string, string>
    }
    expect(fields['workplace']).toBe('望江书屋')
    expect(fields['phone']).toBe('13912345678')
    const held = Object.entries(fields).filter(([key]) => key.startsWith('guardians/'))
    expect(Object.fromEntries(held.map(([key, text]) => [key, JSON.parse(text) as unknown]))).toEqual({
      'guardians/a': { name: '闻人守一', relation: '24', phone: '13800009999' },
      'guardians/c': { name: '闻人守三', relation: '24', phone: '13811110003' },
    })
  })
}

test('what is added or emptied before or after the mask stays as it was meant', async ({ page, town }) => {
  const { id, form } = await editor(page, town, '闻人见月')
  const items = guardians(form)
  // Masked, one more is added; seen in clear, the others are as they are, and no star is written.
  await form.getByRole('button', { name: '添加监护人' }).click()
  await items.nth(3).getByLabel('监护人姓名').fill('闻人守四')
  await items.nth(3).getByRole('combobox', { name: '监护关系' }).click({ force: true })
  await page.getByRole('option', { name: '邻居' }).click()
  await reveal(page)
  await expect(items.nth(0).getByLabel('监护人姓名')).toHaveValue('闻人守一')
  await expect(form.getByText('有 1 项修改尚未保存')).toBeVisible()
  // Emptied in clear, it is emptied when it is masked, and said so.
  await form.getByLabel('手机号码').fill('')
  await page.getByRole('button', { name: '重新遮挡' }).click()
  await expect(field(form, '手机号码')).toContainText('保存后会清空，现为 139****5678')
  await expect(form.getByText('有 2 项修改尚未保存')).toBeVisible()
  await form.getByRole('button', { name: '保存' }).click()
  await expect(form).toHaveCount(0)
  const { fields } = (await town.ask(town.people.zhou, 'POST', `/api/records/${id}/reveal`, {
    purpose: 'correction',
  })) as { fields: Record<string, string> }
  expect(fields['phone'] ?? null).toBeNull()
  const names = Object.entries(fields)
    .filter(([key]) => key.startsWith('guardians/'))
    .map(([, text]) => (JSON.parse(text) as { name: string }).name)
  expect(names.sort()).toEqual(['闻人守一', '闻人守三', '闻人守二', '闻人守四'].sort())
})

test('photos and history behind another tab are fetched, and written down as seen, when they come to the front', async ({
  page,
  town,
}) => {
  const { people } = await household(town, town.people.zhou, COMMITTEE)
  const id = people[0] ?? ''
  await town.sync('li')
  await town.device('li', 'photo', 'add', id, town.photo(21), '--field', 'portrait')
  await town.sync('li')
  const held = await pictures(page)
  const asked: string[] = []
  page.on('request', request => {
    if (/\/(history|photos|thumbnail)(\?|$)/.test(request.url())) asked.push(new URL(request.url()).pathname)
  })
  const logged = async (action: string) => {
    const log = await town.ask(town.people.auditor, 'GET', `/api/audit?action=${action}&subject=${id}`)
    return (log['items'] as { detail: object }[]).map(entry => entry.detail)
  }
  await enter(page, town, town.people.zhou, `/people/${id}?tab=history`)
  const tab = (name: string) => page.getByRole('tab', { name, exact: true })
  const history = page.getByRole('tabpanel', { name: '修改历史' })
  const photos = page.getByRole('tabpanel', { name: '照片' })
  const phone = history.getByRole('row', { name: /手机号码/ })
  await expect(phone).toContainText('139****0002')
  await tab('照片').click()
  await expect(photos.getByText('需说明目的')).toBeVisible()
  await tab('档案').click()
  const before = asked.length
  expect(await logged('show_history')).toEqual([{}])

  // Behind: nothing.
  await page.getByRole('button', { name: '查看完整信息' }).click()
  await giving(page, '办理服务事项')
  await expect(page.getByText('正在显示完整信息')).toBeVisible()
  await page.waitForTimeout(500)
  expect(asked.slice(before)).toEqual([])

  // In front: once each, for the purpose; coming back to them asks for nothing.
  await tab('修改历史').click()
  await expect(phone).toContainText('13900010002')
  await tab('照片').click()
  await expect(photos.locator('img')).toHaveCount(1)
  await tab('修改历史').click()
  await expect(phone).toContainText('13900010002')
  await tab('照片').click()
  await expect(photos.locator('img')).toHaveCount(1)
  expect(await logged('show_history')).toEqual([{ purpose: 'service', revealed: true }, {}])
  expect(await logged('show_photo_thumbnail')).toMatchObject([{ purpose: 'service' }])
  expect(await held()).toBe(1)

  // Masked behind: gone at once, and asked for when it is looked at.
  await tab('档案').click()
  const then = asked.length
  await page.getByRole('button', { name: '重新遮挡' }).click()
  await expect(page.getByText('正在显示完整信息')).toHaveCount(0)
  await expect.poll(held).toBe(0)
  expect(await page.content()).not.toContain('13900010002')
  await page.waitForTimeout(500)
  expect(asked.slice(then)).toEqual([])
  await tab('修改历史').click()
  await expect(phone).toContainText('139****0002')
  expect(await logged('show_history')).toEqual([{}, { purpose: 'service', revealed: true }, {}])
})
