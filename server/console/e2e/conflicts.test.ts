// The conflict queue, from two phones that disagree to two phones that agree.
import { confirm, enter, expect, test, watch } from './test'
import type { Town } from './town'

interface Shown {
  fields?: { key?: string; field?: string; value?: unknown }[] | Record<string, unknown>
}

/** What a device shows of a record, as one text. */
async function onDevice(town: Town, who: 'li' | 'wang', id: string): Promise<string> {
  return JSON.stringify((await town.device(who, 'show', id)) as Shown)
}

test('a conflict is decided from the keyboard, and the phones show it', async ({ page, town }) => {
  const { conflict, resident } = await town.dispute(['姓名=苏晓楠', '姓名=苏晓南'])
  await enter(page, town, town.people.zhou, '/conflicts')
  // Walking down the list with j comes to it.
  await expect(page.getByRole('region', { name: '事项列表' }).getByRole('link').first()).toBeVisible()
  for (let steps = 0; steps < 50 && !page.url().includes(conflict); steps++) {
    const before = page.url()
    await page.keyboard.press('j')
    await page.waitForURL(url => url.href !== before)
  }
  await expect(page.getByText('李静的手机')).toBeVisible()
  await expect(page.getByText('王强的手机')).toBeVisible()
  const right = await page.locator('.card .value').nth(1).innerText()
  await page.keyboard.press('2')
  const dialog = page.getByRole('dialog')
  await expect(dialog).toContainText('将写入')
  await expect(dialog).toContainText(`姓名：${right}`)
  await expect(dialog).toContainText('李静')
  await expect(dialog).toContainText('王强')
  await confirm(page)
  await town.sync('li', 'wang')
  for (const who of ['li', 'wang'] as const) expect(await onDevice(town, who, resident.id)).toContain(right)
})

test('a decision is taken back with u', async ({ page, town }) => {
  const { conflict, resident } = await town.dispute(['姓名=郑远', '姓名=郑源'])
  await enter(page, town, town.people.zhou, `/conflicts/${conflict}`)
  const shown = page.locator('.card', { hasText: '档案现在显示' }).locator('.value')
  const before = await shown.innerText()
  const place = (await page.locator('.card .value').first().innerText()) === before ? '2' : '1'
  await page.keyboard.press(place)
  await confirm(page)
  await page.keyboard.press('u')
  await page.getByRole('dialog', { name: '撤销这次裁决？' }).getByRole('button', { name: '撤销裁决' }).click()
  await expect(page.getByText('裁决已撤销，事项重新打开').first()).toBeVisible()
  await town.sync('li')
  expect(await onDevice(town, 'li', resident.id)).toContain(before)
})

test('another value is written, and what is wrong with one is said', async ({ page, town }) => {
  const { conflict, resident } = await town.dispute(['出生日期=1961-03-04', '出生日期=1961-04-03'])
  await enter(page, town, town.people.zhou, `/conflicts/${conflict}`)
  await expect(page.locator('.card').first()).toBeVisible()
  await page.keyboard.press('o')
  await page.getByLabel('出生日期的正确值').fill('1961年13月40日')
  await page.keyboard.press('Enter')
  await expect(page.getByRole('dialog').getByRole('alert')).toBeVisible()
  await page.getByRole('button', { name: '取消' }).click()
  await expect(page.getByRole('dialog')).toBeHidden()
  await page.keyboard.press('o')
  await page.getByLabel('出生日期的正确值').fill('1961-05-06')
  await page.keyboard.press('Enter')
  await confirm(page)
  await town.sync('wang')
  expect(await onDevice(town, 'wang', resident.id)).toContain('1961-05-06')
})

test('what is no conflict is dismissed with d, and asks nobody', async ({ page, town }) => {
  const { conflict } = await town.dispute(['民族=壮族', '民族=苗族'])
  await enter(page, town, town.people.zhou, `/conflicts/${conflict}`)
  await expect(page.locator('.card').first()).toBeVisible()
  await page.keyboard.press('d')
  await expect(page.getByRole('dialog')).toContainText('不修改任何档案')
  await confirm(page)
  await page.goto(`${town.url}/conflicts/${conflict}`)
  await expect(page.getByText('周敏标为无需裁决')).toBeVisible()
})

test('of two supervisors the second sees what the first decided, and sends nothing', async ({
  page,
  town,
  browser,
  faults,
}) => {
  const { conflict } = await town.dispute(['姓名=顾一鸣', '姓名=顾一明'])
  const other = await (await browser.newContext()).newPage()
  watch(other, faults)
  // The second hears nothing of the first: only the version that was read protects.
  await other.route('**/api/live', route => route.abort())
  await enter(page, town, town.people.zhou, `/conflicts/${conflict}`)
  await enter(other, town, town.people.he, `/conflicts/${conflict}`)
  await expect(other.locator('.card').first()).toBeVisible()
  await other.keyboard.press('2')
  await expect(other.getByRole('button', { name: '确认裁决' })).toBeFocused()
  await page.keyboard.press('1')
  await confirm(page)
  await other.keyboard.press('Enter')
  await expect(other.getByText(/周敏刚刚裁决了这一项：采用了其中一个值/)).toBeVisible()
  await expect(other.getByText('周敏采用了其中一个值')).toBeVisible()
  const item = await town.ask(town.people.zhou, 'GET', `/api/conflicts/${conflict}`)
  expect((item['decision'] as Record<string, unknown>)['by_name']).toBe('周敏')
  await other.context().close()
})

test('a supervisor who has the item open hears of the decision at once', async ({ page, town, browser, faults }) => {
  const { conflict } = await town.dispute(['姓名=何小平', '姓名=何晓平'])
  const other = await (await browser.newContext()).newPage()
  watch(other, faults)
  await enter(page, town, town.people.zhou, `/conflicts/${conflict}`)
  await enter(other, town, town.people.he, `/conflicts/${conflict}`)
  await expect(other.locator('.card').first()).toBeVisible()
  await page.keyboard.press('1')
  await confirm(page)
  await expect(other.getByText('周敏采用了其中一个值')).toBeVisible({ timeout: 3_000 })
  await other.context().close()
})

test('the desk and the list hear of a new conflict by themselves', async ({ page, town }) => {
  await enter(page, town, town.people.zhou, '/conflicts?kind=update_cancelled')
  const links = page.getByRole('region', { name: '事项列表' }).getByRole('link')
  // What other tests left open, all of it shown before the next comes.
  const open = await town.ask(town.people.zhou, 'GET', '/api/conflicts?kind=update_cancelled')
  const before = (open['items'] as unknown[]).length
  await expect(links).toHaveCount(before)
  const resident = town.resident()
  await town.device('wang', 'set', resident.id, 'status=cancelled', 'cancel_reason=3', 'cancelled_on=2026-11-20')
  await town.device('li', 'set', resident.id, '手机号码=13917020005')
  await town.sync('wang', 'li')
  await expect(links).toHaveCount(before + 1)
  const conflict = await town.conflictOf(resident.id)
  await page.locator(`a[href*="/conflicts/${conflict}"]`).click()
  await expect(page.getByText('请判断档案应当注销还是保留')).toBeVisible()
})

test('filters stay in the address, over items and reloads', async ({ page, town }) => {
  await town.dispute(['姓名=白鹭', '姓名=白露'])
  await enter(page, town, town.people.zhou, '/conflicts')
  // The words of the chosen option lie over the field.
  await page.getByRole('combobox', { name: '类型' }).click({ force: true })
  await page.getByRole('option', { name: /^字段冲突/ }).click()
  await expect(page).toHaveURL(/kind=field/)
  await page.getByRole('region', { name: '事项列表' }).getByRole('link').first().click()
  await expect(page).toHaveURL(/conflicts\/[0-9a-f-]+\?kind=field/)
  await page.reload()
  await expect(page).toHaveURL(/kind=field/)
  await expect(page.locator('.card').first()).toBeVisible()
})

test('the list goes on where it ended, with j and after its last item was decided, and the focus with it', async ({
  page,
  town,
}) => {
  for (const names of [
    ['姓名=凌霄羽', '姓名=凌宵羽'],
    ['姓名=巫山云', '姓名=巫珊云'],
    ['姓名=祝长风', '姓名=祝常风'],
  ] as [string, string][]) {
    const { conflict } = await town.dispute(names)
    await town.ask(town.people.zhou, 'PUT', `/api/conflicts/${conflict}/assignee`, { assignee: town.people.zhou.id })
  }
  await page.route(/\/api\/conflicts\?/, route =>
    route.continue({ url: route.request().url().replace('limit=50', 'limit=1') }),
  )
  await enter(page, town, town.people.zhou, '/conflicts?assignee=me')
  const list = page.getByRole('region', { name: '事项列表' }).getByRole('link')
  await expect(list).toHaveCount(1)
  await page.keyboard.press('j')
  await expect(list.first()).toHaveAttribute('aria-current', 'true')
  await page.keyboard.press('j')
  await expect(list).toHaveCount(2)
  await expect(list.nth(1)).toHaveAttribute('aria-current', 'true')
  const decided = await list.nth(1).getAttribute('href')
  await expect(page.locator('.card').first()).toBeVisible()
  await page.locator('.bar').getByRole('button', { name: '采用左侧' }).click()
  await confirm(page)
  await expect(list.nth(1)).not.toHaveAttribute('href', decided ?? '')
  await expect(list.nth(1)).toHaveAttribute('aria-current', 'true')
  await expect(list.nth(1)).toBeFocused()
})

test('on a narrow screen one goes back from the item to the list, and its filters stay', async ({ page, town }) => {
  const { conflict } = await town.dispute(['姓名=水云间', '姓名=水芸间'])
  await page.setViewportSize({ width: 800, height: 1000 })
  await enter(page, town, town.people.zhou, `/conflicts/${conflict}?kind=field`)
  await expect(page.locator('.card').first()).toBeVisible()
  const list = page.getByRole('region', { name: '事项列表' })
  await expect(list).toBeHidden()
  await page.getByRole('link', { name: '回到列表' }).click()
  await expect(list.getByRole('link').first()).toBeVisible()
  await expect(page).toHaveURL(`${town.url}/conflicts?kind=field`)
})

test('an item that does not exist, or not in the areas of who asks, says so and leads back to the list', async ({
  page,
  town,
}) => {
  const { conflict } = await town.dispute(['姓名=云外鹤', '姓名=云外贺'])
  await enter(page, town, town.people.elsewhere, '/conflicts')
  for (const id of [conflict, '0190a3f0-0000-7000-8000-00000000dead']) {
    await page.goto(`${town.url}/conflicts/${id}?kind=field`)
    await expect(page.getByRole('heading', { name: '找不到这一项' })).toBeVisible()
    await expect(page.getByRole('alert')).toContainText('不在您负责的区划内')
    await expect(page.getByRole('button', { name: '重试' })).toHaveCount(0)
    await page.getByRole('link', { name: '回到事项列表' }).click()
    await expect(page).toHaveURL(`${town.url}/conflicts?kind=field`)
  }
})

test('many are decided by one rule after a preview', async ({ page, town }) => {
  const first = await town.dispute(['户籍地址=陕西中路十二弄28号1702室', '户籍地址=陕西中路12弄28号楼1702'])
  const second = await town.dispute(['户籍地址=厦门中路66弄1号1301室', '户籍地址=厦门中路88弄1号1301室'])
  await enter(page, town, town.people.zhou, '/conflicts/rule?field=register_address&rule=equal_normalised')
  await page.getByRole('button', { name: '预览' }).click()
  await expect(page.getByText(/^1 项将被裁决，\d+ 项留在队列/)).toBeVisible()
  // Who is told is said before, for each item and in all.
  const told = page.getByText(/^将通知 2 人/)
  await expect(told).toContainText('李静 1 条')
  await expect(told).toContainText('王强 1 条')
  await expect(page.getByRole('row', { name: /将裁决/ })).toContainText(/李静、王强|王强、李静/)
  await page.getByRole('button', { name: '执行裁决（1 项）' }).click()
  await expect(page.getByText('已裁决 1 项').first()).toBeVisible()
  await expect(page.getByText(/^已通知 2 人/)).toBeVisible()
  const status = async (id: string) => (await town.ask(town.people.zhou, 'GET', `/api/conflicts/${id}`))['status']
  expect(await status(first.conflict)).toBe('decided')
  expect(await status(second.conflict)).toBe('open')
})

test('a look that was overtaken is dropped, and what comes after a look is not decided by it', async ({
  page,
  town,
}) => {
  const alike: [string, string] = ['户籍地址=永嘉路五弄6号201室', '户籍地址=永嘉路5弄6号201']
  const shown = await town.dispute(alike)
  let go = () => {}
  const held = new Promise<void>(done => (go = done))
  await page.route(
    '**/api/conflicts/bulk-decision',
    async route => {
      await held
      await route.continue()
    },
    { times: 1 },
  )
  await enter(page, town, town.people.zhou, '/conflicts/rule?field=register_address&rule=equal_normalised')
  const look = page.getByRole('button', { name: '预览' })
  const answered = page.waitForResponse('**/api/conflicts/bulk-decision')
  await look.click()
  await page.getByText(/^采用服务器最后收到的值/).click()
  await expect(page).toHaveURL(/register_address$/)
  go()
  await answered
  const carry = page.getByRole('button', { name: /^执行裁决/ })
  await expect(look).toBeEnabled()
  await expect(carry).toHaveCount(0)

  await page.getByText(/^写法不同、意思相同的/).click()
  await expect(page).toHaveURL(/equal_normalised/)
  await look.click()
  await expect(page.getByText(/^1 项将被裁决/)).toBeVisible()
  const late = await town.dispute(alike)
  await carry.click()
  await expect(page.getByText('已裁决 1 项').first()).toBeVisible()
  const status = async (id: string) => (await town.ask(town.people.zhou, 'GET', `/api/conflicts/${id}`))['status']
  expect(await status(shown.conflict)).toBe('decided')
  expect(await status(late.conflict)).toBe('open')
})

test('from an item one reads its history in words, and goes to the file and back', async ({ page, town }) => {
  const { conflict, resident } = await town.dispute(['姓名=蓝田', '姓名=蓝甜'])
  await enter(page, town, town.people.zhou, `/conflicts/${conflict}?kind=field`)
  await page.locator('.card').first().waitFor()
  await page.keyboard.press('h')
  const history = page.locator('details', { hasText: '修改历史' })
  await expect(history).toContainText('与别人同时修改')
  // The first registration puts many fields: codes are read as what they mean.
  await history.getByRole('button', { name: /展开其余/ }).click()
  await expect(history.getByRole('row', { name: /人员类别/ })).not.toContainText(/\d/)
  await page.getByRole('link', { name: '打开居民档案' }).click()
  await expect(page).toHaveURL(`${town.url}/people/${resident.id}`)
  await page.goBack()
  await expect(page).toHaveURL(`${town.url}/conflicts/${conflict}?kind=field`)
})

test('a script in what a collector wrote is shown as text and never runs', async ({ page, town }) => {
  const script = '<img src=x onerror="document.title=\'stolen\'"><script>alert(1)</script>'
  const { conflict } = await town.dispute([`户籍地址=${script}甲`, `户籍地址=${script}乙`])
  await enter(page, town, town.people.zhou, `/conflicts/${conflict}`)
  await expect(page.locator('.card .value').first()).toContainText('<script>alert(1)</script>')
  expect(await page.locator('img[src="x"], main script').count()).toBe(0)
  await page.keyboard.press('h')
  await expect(page.locator('details', { hasText: '修改历史' })).toContainText('户籍地址')
  await page.keyboard.press('1')
  await expect(page.getByRole('dialog')).toContainText('onerror')
  expect(await page.title()).not.toContain('stolen')
})

test('an item that was decided while nothing could be told is shown as it is, once the stream stands again', async ({
  page,
  town,
}) => {
  const conflict = await town.disputeName('岚', '兰')
  let away = true
  await page.route('**/api/live', route => (away ? route.abort() : route.continue()))
  await enter(page, town, town.people.zhou, `/conflicts/${conflict}`)
  await expect(page.locator('.card').nth(1)).toBeVisible()
  await expect(page.getByText('实时更新已断开')).toBeAttached()
  const item = await town.ask(town.people.he, 'GET', `/api/conflicts/${conflict}`)
  const response = await fetch(`${town.url}/api/conflicts/${conflict}/decision`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${town.people.he.token}`,
      'content-type': 'application/json',
      'if-match': `"${String(item['version'])}"`,
    },
    body: JSON.stringify({ action: 'dismiss' }),
  })
  expect(response.status, await response.text()).toBeLessThan(300)
  away = false
  await expect(page.locator('.el-message', { hasText: '何平' })).toBeVisible({ timeout: 20_000 })
})
