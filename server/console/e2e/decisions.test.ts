// Decisions about persons, claims and what was refused; and what an item shows of evidence to whom.
import { household, register } from './estate'
import { confirm, enter, expect, giving, pictures, test } from './test'
import { checked, COMMITTEE, type Listed, type Town } from './town'

const list = async (town: Town, who: 'li' | 'wang', type: string, ...more: string[]) =>
  (await town.device(who, 'list', type, '--limit', '500', ...more)) as Listed[]
const shown = async (town: Town, id: string) =>
  (await town.ask(town.people.zhou, 'GET', `/api/residents/${id}`)) as {
    resident: { fields: Record<string, unknown>; cancelled: boolean }
    residences: { id: string; address: string; main: boolean; active: boolean; kind: string }[]
  }
const item = (town: Town, id: string) => town.ask(town.people.zhou, 'GET', `/api/conflicts/${id}`)

test("one file of two persons is split, with the residences and facts that are the other one's", async ({
  page,
  town,
}) => {
  const { people } = await household(town, town.people.zhou, COMMITTEE)
  const id = people[0] ?? ''
  await town.sync('li', 'wang')
  await town.device('wang', 'set', id, '姓名=乔问渠')
  await town.device('li', 'set', id, '姓名=乔问津')
  await town.sync('wang', 'li')
  const conflict = await town.conflictOf(id)
  await enter(page, town, town.people.zhou, `/conflicts/${conflict}`)
  await expect(page.locator('.card').first()).toBeVisible()
  await page.keyboard.press('s')
  const dialog = page.getByRole('dialog', { name: '拆分为两个人' })
  await dialog.getByText(/^乔问渠（/).click()
  await expect(dialog).toContainText('新居民：乔问津')
  await dialog.getByText(/^户籍.*安康路12弄/).click()
  const workplace = dialog.getByRole('checkbox', { name: /工作单位/ })
  await dialog.getByText(/^工作单位/).click()
  await expect(workplace).not.toBeChecked()
  // Something else happens in the village: the item is read anew behind the dialog, and what was chosen stays.
  const anew = page.waitForResponse(answer => answer.url().endsWith(`/api/conflicts/${conflict}`) && answer.ok())
  await town.dispute(['姓名=聂小双', '姓名=聂晓双'])
  await anew
  await expect(workplace).not.toBeChecked()
  await dialog.getByRole('button', { name: '下一步' }).click()
  const preview = page.getByRole('dialog', { name: /^确认/ })
  await expect(preview).toContainText('新建')
  await expect(preview).toContainText('姓名：乔问津')
  await confirm(page)
  await town.sync('li')
  const made = (await list(town, 'li', 'resident')).find(one => one.fields['name'] === '乔问津')
  expect(made, 'the new resident is on the phone').toBeDefined()
  expect(made?.fields['workplace']).toBeUndefined()
  expect(made?.fields['sex']).toBe('1')
  expect((await shown(town, made?.id ?? '')).residences.map(tie => tie.kind)).toEqual(['register'])
  expect((await shown(town, id)).residences.map(tie => tie.kind)).toEqual(['living'])
})

test('a record with a certificate is split: the number stays, and that is said', async ({ page, town }) => {
  const { conflict, resident } = await town.dispute(['姓名=汪一帆', '姓名=汪逸凡'])
  expect(String(resident.fields['id_number'])).not.toBe('')
  await enter(page, town, town.people.zhou, `/conflicts/${conflict}`)
  await expect(page.locator('.card').first()).toBeVisible()
  await page.keyboard.press('s')
  const dialog = page.getByRole('dialog', { name: '拆分为两个人' })
  await expect(dialog).toContainText('证件号码留在这份档案')
  await dialog.getByRole('button', { name: '下一步' }).click()
  await expect(page.getByRole('dialog', { name: /^确认/ })).toContainText('新建')
  await expect(page.getByRole('dialog', { name: /^确认/ })).not.toContainText('证件号码')
  await confirm(page)
})

test('two records of one person are merged with m: one chooses who stays and what it takes', async ({ page, town }) => {
  const [one, two] = await town.twins('程思敏')
  await town.sync('wang')
  await town.device('li', 'set', one, '手机号码=13917020011')
  await town.device('wang', 'set', two, '手机号码=13917020022')
  await town.sync('li', 'wang', 'li')
  const conflict = await town.conflictOf(one)
  await enter(page, town, town.people.zhou, `/conflicts/${conflict}`)
  await expect(page.getByText('留下的档案').first()).toBeVisible()
  await page.getByRole('button', { name: '留下这一份' }).click()
  const phones = page.getByRole('row', { name: /手机号码/ }).getByRole('button')
  await expect(phones).toHaveCount(2)
  const losing = phones.and(page.locator('[aria-pressed=false]'))
  const taken = await losing.innerText()
  await losing.click()
  await page.keyboard.press('m')
  await expect(page.getByRole('dialog')).toContainText('并入留下的档案')
  await confirm(page)
  await town.sync('li', 'wang')
  for (const who of ['li', 'wang'] as const) {
    const left = (await list(town, who, 'resident')).filter(resident => [one, two].includes(resident.id))
    expect(left.map(resident => resident.fields['phone'])).toEqual([taken])
  }
})

test('of what came from a collector who had left, some is accepted and the rest stays refused', async ({
  page,
  town,
}) => {
  const [kept, lost] = [town.resident(), town.resident()]
  const { person, leave } = await town.leaver('qin.yue', '秦越')
  await town.device(person, 'set', kept.id, '手机号码=13917030001')
  await town.device(person, 'set', kept.id, '工作单位=码头')
  await town.device(person, 'set', lost.id, '手机号码=13917030002')
  await leave()
  const conflict = await town.conflictOf(kept.id)
  await enter(page, town, town.people.zhou, `/conflicts/${conflict}`)
  const refused = page.getByRole('list', { name: '被拒的更改' }).getByRole('listitem')
  await expect(refused).toHaveCount(2)
  await expect(refused.first()).toContainText('秦越')
  await expect(refused.first()).toContainText('秦越的手机')
  await refused.filter({ hasText: '码头' }).locator('.el-checkbox').click()
  await page.keyboard.press('a')
  await expect(page.getByRole('dialog')).toContainText('13917030001')
  await expect(page.getByRole('dialog')).not.toContainText('码头')
  await confirm(page)
  await town.sync('li')
  const fields = (await list(town, 'li', 'resident')).find(one => one.id === kept.id)?.fields ?? {}
  expect(fields['phone']).toBe('13917030001')
  expect(fields['workplace']).not.toBe('码头')

  const other = await town.conflictOf(lost.id)
  await page.goto(`${town.url}/conflicts/${other}`)
  await expect(refused).toHaveCount(1)
  await page.keyboard.press('r')
  await page.getByRole('dialog').getByRole('textbox').fill('已由新的采集员核实')
  await page.getByRole('button', { name: '确认裁决' }).click()
  await expect(page.locator('.el-message', { hasText: '已裁决' })).toBeVisible()
  await page.goto(`${town.url}/conflicts/${other}`)
  await expect(page.getByText('周敏没有采纳被拒的更改')).toBeVisible()
  await expect(page.getByText('已由新的采集员核实')).toBeVisible()
  expect(String((await shown(town, lost.id)).resident.fields['phone'])).not.toMatch(/0002$/)
})

test('what is typed and chosen in an item stays when a colleague is given it', async ({ page, town }) => {
  const { conflict } = await town.dispute(['出生日期=1962-03-04', '出生日期=1962-04-03'])
  const give = (to: string | null) =>
    town.ask(town.people.he, 'PUT', `/api/conflicts/${conflict}/assignee`, { assignee: to })
  await enter(page, town, town.people.zhou, `/conflicts/${conflict}`)
  await expect(page.locator('.card').first()).toBeVisible()
  await page.keyboard.press('o')
  await page.getByLabel('出生日期的正确值').fill('1962-05-06')
  await give(town.people.he.id)
  await expect(page.locator('.head').getByText('经办：何平')).toBeVisible()
  await expect(page.getByLabel('出生日期的正确值')).toHaveValue('1962-05-06')
  await page.getByRole('button', { name: '下一步' }).click()
  const preview = page.getByRole('dialog', { name: /^确认/ })
  await preview.getByRole('textbox').fill('户口簿为准')
  await give(null)
  await expect(page.locator('.head').getByText('未分派')).toBeVisible()
  await expect(preview.getByRole('textbox')).toHaveValue('户口簿为准')
  await page.getByRole('button', { name: '确认裁决' }).click()
  await expect(page.locator('.el-message', { hasText: '已裁决' })).toBeVisible()
  const decision = (await item(town, conflict))['decision'] as Record<string, unknown>
  expect(decision['note']).toBe('户口簿为准')
})

test('what is unpicked of the refused stays so when the device sends more', async ({ page, town }) => {
  const resident = town.resident()
  const { person, leave } = await town.leaver('he.qiu', '贺秋')
  await town.device(person, 'set', resident.id, '手机号码=13917030003')
  await town.device(person, 'set', resident.id, '工作单位=码头')
  await leave()
  const conflict = await town.conflictOf(resident.id)
  let more = false
  await page.route(`**/api/conflicts/${conflict}`, async route => {
    const answer = await route.fetch()
    const body = (await answer.json()) as { refused: { id: string }[] }
    const one = body.refused.find(refused => !JSON.stringify(refused).includes('码头'))
    if (more && one) body.refused.unshift({ ...one, id: '018f0000-0000-7000-8000-000000000000' })
    await route.fulfill({ response: answer, json: body })
  })
  await enter(page, town, town.people.zhou, `/conflicts/${conflict}`)
  const refused = page.getByRole('list', { name: '被拒的更改' }).getByRole('listitem')
  await expect(refused).toHaveCount(2)
  const boxes = refused.getByRole('checkbox')
  await refused.filter({ hasText: '码头' }).locator('.el-checkbox').click()
  await expect(boxes.and(page.locator(':checked'))).toHaveCount(1)
  more = true
  await town.ask(town.people.he, 'PUT', `/api/conflicts/${conflict}/assignee`, { assignee: town.people.he.id })
  await expect(refused).toHaveCount(3)
  await expect(refused.filter({ hasText: '码头' }).getByRole('checkbox')).not.toBeChecked()
  await expect(boxes.and(page.locator(':checked'))).toHaveCount(2)
  // With nothing picked there is nothing to accept: the key says so, as the button does.
  for (const left of [1, 0]) {
    await refused.locator('.el-checkbox.is-checked').first().click()
    await expect(boxes.and(page.locator(':checked'))).toHaveCount(left)
  }
  await page.keyboard.press('a')
  await expect(page.locator('.el-message', { hasText: '还没有勾选要采纳的更改' })).toBeVisible()
  await expect(page.getByRole('dialog')).toHaveCount(0)
})

test('where more was refused than is listed, what is accepted is named', async ({ page, town }) => {
  const resident = town.resident()
  const { person, leave } = await town.leaver('shi.lei', '石磊')
  await town.device(person, 'set', resident.id, '手机号码=13917030004')
  await leave()
  const conflict = await town.conflictOf(resident.id)
  await page.route(`**/api/conflicts/${conflict}`, async route => {
    const answer = await route.fetch()
    await route.fulfill({ response: answer, json: { ...(await answer.json()), refused_more: 9_800 } })
  })
  await enter(page, town, town.people.zhou, `/conflicts/${conflict}`)
  await expect(page.getByText('另有 9,800 项被拒的更改没有列出')).toBeVisible()
  await page.keyboard.press('a')
  const asked = page.waitForRequest(request => request.method() === 'POST' && request.url().includes(conflict))
  await confirm(page)
  expect((await asked).postDataJSON()).toMatchObject({ action: 'accept', items: [expect.any(String)] })
})

/** A resident with a main residence and a claim that another one is it; gives the item. */
async function claimed(town: Town): Promise<{ conflict: string; resident: string; claim: string }> {
  const { people } = await household(town, town.people.zhou, COMMITTEE)
  const resident = people[1] ?? ''
  const { house } = await household(town, town.people.zhou, COMMITTEE)
  const tie = { resident, house, kind: 'living' }
  const claim = await register(town, town.people.zhou, 'residences', tie, COMMITTEE)
  await town.ask(town.people.zhou, 'POST', `/api/residents/${resident}/main-residence`, { residence: claim })
  return { conflict: await town.conflictOf(resident), resident, claim }
}

test('a claim of the main residence is compared in the queue, confirmed with y and denied with n', async ({
  page,
  town,
}) => {
  for (const [key, becomes] of [
    ['y', true],
    ['n', false],
  ] as const) {
    const { conflict, resident, claim } = await claimed(town)
    await enter(page, town, town.people.zhou, `/conflicts/${conflict}`)
    await expect(page.getByText('居民的主要居住地被另一处认领')).toBeVisible()
    await expect(page.getByText('现在的主要居住地')).toBeVisible()
    await expect(page.locator('.values .base')).toContainText('居住 安康路12弄')
    await expect(page.locator('.card', { hasText: '认领的居住地' })).toContainText('居住 安康路12弄')
    await page.keyboard.press(key)
    await expect(page.getByRole('dialog')).toContainText('将写入')
    await confirm(page)
    const main = (await shown(town, resident)).residences.filter(one => one.main && one.active)
    expect(main.map(one => one.id === claim)).toEqual([becomes])
    await page.evaluate(() => sessionStorage.clear())
  }
})

test('an item is taken with t, given to another, and found by whom it was given to', async ({ page, town }) => {
  const { conflict } = await town.dispute(['姓名=池上青', '姓名=池尚青'])
  await enter(page, town, town.people.zhou, `/conflicts/${conflict}`)
  await expect(page.locator('.card').first()).toBeVisible()
  await page.keyboard.press('t')
  await expect(page.locator('.el-message', { hasText: '已分派给周敏' })).toBeVisible()
  expect((await item(town, conflict))['assignee_name']).toBe('周敏')
  const assign = page.getByRole('combobox', { name: '分派给' })
  await assign.click({ force: true })
  // Those who may decide here, and nobody else; found by what they sign in with, too.
  await expect(page.getByRole('option', { name: '经办：何平' })).toBeVisible()
  await expect(page.getByRole('option', { name: '唐瑜' })).toHaveCount(0)
  await assign.fill('he.p')
  await expect(page.getByRole('option', { name: '经办：周敏' })).toHaveCount(0)
  await page.getByRole('option', { name: '经办：何平' }).click()
  await expect(page.locator('.el-message', { hasText: '已分派给何平' })).toBeVisible()
  // The queue of one who is named.
  await page.getByRole('combobox', { name: '经办人', exact: true }).click({ force: true })
  await page.getByRole('option', { name: '指定经办人' }).click()
  const named = page.getByRole('combobox', { name: '指定经办人' })
  await named.click({ force: true })
  await named.fill('何平')
  await page.getByRole('option', { name: /^何平/ }).click()
  await expect(page).toHaveURL(new RegExp(`assignee=${town.people.he.id}`))
  const listed = page.getByRole('region', { name: '事项列表' }).getByRole('link')
  await expect(listed.and(page.locator(`[href*="${conflict}"]`))).toBeVisible()
  await expect(listed.filter({ hasNotText: '何平' })).toHaveCount(0)
  await page.evaluate(() => sessionStorage.clear())
  await enter(page, town, town.people.he, '/conflicts?assignee=me')
  await page.locator(`a[href*="${conflict}"]`).click()
  await page.getByRole('combobox', { name: '分派给' }).click({ force: true })
  await page.getByRole('option', { name: '未分派' }).click()
  await expect(page.locator('.el-message', { hasText: '已取消分派' })).toBeVisible()
  expect((await item(town, conflict))['assignee']).toBeNull()
})

/** An item about a certificate number that two records have. */
async function numbered(town: Town, name: string): Promise<{ conflict: string; number: string }> {
  const [one] = await town.twins(name)
  const record = (await list(town, 'li', 'resident')).find(resident => resident.id === one)
  return { conflict: await town.conflictOf(one), number: String(record?.fields['id_number']) }
}

test('an item and its history are masked until a purpose is given, which the audit log keeps, and again after', async ({
  page,
  town,
}) => {
  const { conflict, number } = await numbered(town, '宁静远')
  await enter(page, town, town.people.zhou, `/conflicts/${conflict}`)
  await expect(page.getByText('留下的档案').first()).toBeVisible()
  // Of two that may be one person both histories are there.
  await page.keyboard.press('h')
  const history = page.locator('details', { hasText: '修改历史（左）' })
  const right = page.locator('details', { hasText: '修改历史（右）' })
  await expect(history.getByRole('row', { name: /姓名/ })).toContainText('宁**')
  await expect(right.getByRole('row', { name: /姓名/ })).toContainText('宁**')
  await expect(page.getByText('两份档案的内容相同', { exact: true })).toBeVisible()
  expect(await page.content()).not.toContain(number)
  // What was chosen before stays chosen.
  const other = page.getByRole('columnheader').filter({ has: page.getByRole('button', { name: '留下这一份' }) })
  const stays = await other.locator('a').getAttribute('href')
  await other.getByRole('button').click()
  await page.getByRole('button', { name: '查看完整信息' }).click()
  const dialog = page.getByRole('dialog', { name: /^查看完整信息/ })
  await expect(dialog.getByRole('button', { name: '查看', exact: true })).toBeDisabled()
  await dialog.getByText('上门核实').click()
  await dialog.getByRole('button', { name: '查看', exact: true }).click()
  await expect(page.locator('.pair').getByText(number).first()).toBeVisible()
  await expect(history.getByRole('row', { name: /姓名/ })).toContainText('宁静远')
  await expect(history.getByRole('row', { name: /证件号码/ })).toContainText(number)
  await expect(right.getByRole('row', { name: /证件号码/ })).toContainText(number)
  await expect(page.getByText('两份档案的内容相同', { exact: true })).toBeVisible()
  await expect(page.locator('th.stays a')).toHaveAttribute('href', stays ?? '')
  const logged = async (subject: string, action: string) => {
    const log = await town.ask(town.people.auditor, 'GET', `/api/audit?action=${action}&subject=${subject}`)
    expect(JSON.stringify(log['items'])).not.toContain(number)
    return (log['items'] as { detail: object }[]).map(entry => entry.detail)
  }
  const revealed = { purpose: 'verification', revealed: true }
  expect(await logged(conflict, 'show_conflict')).toContainEqual(revealed)
  const { id } = (await item(town, conflict))['record_now'] as Listed
  expect(await logged(id, 'show_history')).toEqual([revealed, {}])
  await page.getByRole('button', { name: '重新遮挡' }).click()
  await expect(history.getByRole('row', { name: /姓名/ })).toContainText('宁**')
  await expect(page.getByText(number)).toHaveCount(0)
})

/** Another number with the same digits where a masked one shows them. */
function alike(number: string): string {
  for (let day = 0; day < 15_000; day++) {
    const born = new Date(Date.UTC(1958, 0, 1 + day)).toISOString().slice(0, 10).replaceAll('-', '')
    const other = checked(number.slice(0, 6) + born + number.slice(14, 17))
    if (other !== number && other.slice(14) === number.slice(14)) return other
  }
  throw new Error('no such number')
}

test('two hidden numbers that differ are said to differ, and a merge says which stays unseen', async ({
  page,
  town,
}) => {
  const [one, two] = await town.twins('闻人语')
  const record = (await list(town, 'li', 'resident')).find(resident => resident.id === one)
  const number = String(record?.fields['id_number'])
  const other = alike(number)
  await town.sync('wang')
  await town.device('wang', 'set', two, `证件号码=${other}`)
  await town.device('wang', 'set', two, '工作单位=码头')
  await town.sync('wang')
  await enter(page, town, town.people.zhou, `/conflicts/${await town.conflictOf(one)}`)
  const row = page.locator('.pair').getByRole('row', { name: /证件号码/ })
  await expect(row).toContainText('不同（已隐藏）')
  await expect(page.locator('.pair')).not.toContainText(number)
  const unseen = page.locator('.pair').getByText(/“证件号码”两份不同，但内容已隐藏：合并后保留[左右]的/)
  await expect(unseen).toBeVisible()
  const which = /保留(.)的/.exec(await unseen.innerText())?.[1] ?? ''
  // Picking the other side changes which.
  await row.getByRole('button').and(page.locator('[aria-pressed=false]')).click()
  await expect(unseen).not.toContainText(`保留${which}的`)
  await page.keyboard.press('m')
  const preview = page.getByRole('dialog', { name: /^确认/ })
  await expect(preview).toContainText('“证件号码”两份不同，但内容已隐藏')
  await preview.getByRole('button', { name: '取消' }).click()
  await expect(preview).toHaveCount(0)
  await page.getByRole('button', { name: '查看完整信息' }).click()
  await giving(page, '裁决或更正信息')
  await expect(row).toContainText(number)
  await expect(row).toContainText(other)
  await expect(row).not.toContainText('已隐藏')
  await expect(unseen).toHaveCount(0)
})

test('what is revealed of an item is masked again after some minutes', async ({ page, town }) => {
  const { conflict, number } = await numbered(town, '霍青舟')
  await page.clock.install()
  await enter(page, town, town.people.zhou, `/conflicts/${conflict}`)
  await page.getByRole('button', { name: '查看完整信息' }).click()
  await page.getByRole('dialog').getByText('裁决或更正信息').click()
  await page.getByRole('dialog').getByRole('button', { name: '查看', exact: true }).click()
  await expect(page.getByText(number).first()).toBeVisible()
  await page.clock.fastForward('05:01')
  await expect(page.getByText(number)).toHaveCount(0)
  await expect(page.getByText('留下的档案').first()).toBeVisible()
  await expect(page.getByRole('button', { name: '查看完整信息' })).toBeVisible()
})

test('photos of a visit stand beside the values; those of the person ask for a purpose', async ({ page, town }) => {
  const resident = town.resident()
  await town.device('li', 'photo', 'add', resident.id, town.photo(1))
  await town.device('li', 'photo', 'add', resident.id, town.photo(2), '--field', 'portrait')
  await town.device('li', 'visit', '--resident', resident.id, '--photo', town.photo(3), '走访记录=本人在家')
  await town.sync('li', 'wang')
  const { conflict } = await town.dispute(['姓名=温故新', '姓名=温故知'], resident)
  await enter(page, town, town.people.zhou, `/conflicts/${conflict}`)
  await expect(page.getByText('照片 3 张')).toBeVisible()
  const pictures = page.locator('article img')
  await expect(pictures).toHaveCount(1)
  await expect(page.getByText('需说明目的').first()).toBeVisible()
  await page.getByRole('button', { name: '查看人像照片' }).click()
  await page.getByRole('dialog').getByText('裁决或更正信息').click()
  await page.getByRole('dialog').getByRole('button', { name: '查看', exact: true }).click()
  await expect(pictures).toHaveCount(3)
  for (const one of await pictures.all()) {
    await expect.poll(() => one.evaluate(image => (image as HTMLImageElement).naturalWidth)).toBeGreaterThan(100)
  }
  await page.getByRole('button', { name: /^放大/ }).first().click()
  await expect(page.getByRole('dialog').locator('img')).toBeVisible()
  // The keys of the queue rest while a picture is open.
  await page.keyboard.press('Escape')
  await expect(page.getByRole('dialog')).toHaveCount(0)
  const log = await town.ask(town.people.auditor, 'GET', `/api/audit?actor=${town.people.zhou.id}&limit=50`)
  expect(JSON.stringify(log['items'])).toContain('correction')
})

test('photos follow what an item is revealed for, and all of it is gone at once when that ends', async ({
  page,
  town,
}) => {
  const resident = town.resident()
  const [left, right] = [checked('31010119610407011'), checked('31010119610407013')]
  await town.device('li', 'photo', 'add', resident.id, town.photo(12), '--field', 'portrait')
  await town.sync('li', 'wang')
  const { conflict } = await town.dispute([`证件号码=${left}`, `证件号码=${right}`], resident)
  const held = await pictures(page)
  await page.clock.install()
  await enter(page, town, town.people.zhou, `/conflicts/${conflict}`)
  const item = page.getByRole('article')
  const none = async () => {
    await expect(item.getByText('需说明目的')).toBeVisible()
    await expect(page.locator('img[src^="blob:"]')).toHaveCount(0)
    expect(await held()).toBe(0)
    await expect(page.getByText(/31010119610407/)).toHaveCount(0)
  }
  await none()
  const reveal = page.getByRole('button', { name: '查看完整信息' })
  await reveal.click()
  await giving(page, '裁决或更正信息')
  await expect(item.getByText(left).first()).toBeVisible()
  await expect(item.locator('img')).toHaveCount(1)
  await expect(item.getByRole('button', { name: '查看人像照片' })).toHaveCount(0)
  const log = await town.ask(
    town.people.auditor,
    'GET',
    `/api/audit?action=show_photo_thumbnail&subject=${resident.id}`,
  )
  expect((log['items'] as { detail: object }[]).map(entry => entry.detail)).toMatchObject([{ purpose: 'correction' }])

  // The masked answer lets wait for itself: nothing clear waits with it, and what was open stays.
  await page.keyboard.press('h')
  await expect(item.locator('details', { hasText: '修改历史' })).toHaveAttribute('open')
  let come = () => {}
  const comes = new Promise<void>(done => (come = done))
  const asked = page.waitForRequest(request => request.url().endsWith(`/api/conflicts/${conflict}`))
  await page.route(`**/api/conflicts/${conflict}`, async route => {
    await comes
    await route.continue()
  })
  await page.getByRole('button', { name: '重新遮挡' }).click()
  await asked
  await none()
  await expect(reveal).toBeVisible()
  await expect(item.locator('details', { hasText: '修改历史' })).toHaveAttribute('open')
  const answered = page.waitForResponse(answer => answer.url().endsWith(`/api/conflicts/${conflict}`))
  come()
  await answered
  await none()

  // By time: the question that names a value goes too.
  await reveal.click()
  await giving(page, '裁决或更正信息')
  await expect(item.locator('img')).toHaveCount(1)
  await page.keyboard.press('1')
  await expect(page.getByRole('dialog')).toContainText('31010119610407')
  await page.clock.fastForward('05:01')
  await expect(page.getByRole('dialog')).toHaveCount(0)
  await none()
  await item.getByRole('button', { name: '查看人像照片' }).click()
  await giving(page, '裁决或更正信息')
  await expect(item.locator('img')).toHaveCount(1)
  await page.clock.fastForward('05:01')
  await none()
})
