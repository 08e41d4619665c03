// The audit log: found by what is known of a deed, read, taken out, and verified.
import { readFileSync } from 'node:fs'
import { enter, expect, test } from './test'
import { auditDetail } from '../src/texts/audit-detail'
import { COMMITTEE } from './town'

test('the auditor finds a deed by person and action, and reads it', async ({ page, town }) => {
  const person = await town.person('watched.one', '被查', 'collector')
  await enter(page, town, town.people.auditor, `/audit?subject=${person.id}`)
  const table = page.getByRole('table', { name: '审计记录' })
  await expect(table).toContainText('授予角色')
  await expect(table).toContainText('新建用户')
  await page.getByRole('combobox', { name: '做了什么' }).click()
  await page.getByRole('combobox', { name: '做了什么' }).fill('授予')
  await page.getByRole('option', { name: '授予角色' }).click()
  await expect(table.locator('tbody tr')).toHaveCount(1)
  await expect(table.locator('tbody tr')).toContainText('区划管理员')
  await page.keyboard.press('Escape')
  await page.locator('main').focus()
  await page.keyboard.press('j')
  await page.keyboard.press('Enter')
  const entry = page.getByRole('dialog', { name: /^第 .* 条记录$/ })
  const detail = entry.getByRole('region', { name: '说明' })
  await expect(detail).toContainText('角色采集员')
  await expect(detail).toContainText('有效期至长期')
  await expect(entry).toContainText('grant_role')
  await expect(entry).toContainText('被查')
  await expect(detail.getByText('"role": "collector"')).toBeHidden()
  await detail.getByText('原始内容').click()
  await expect(detail.getByText('"role": "collector"')).toBeVisible()
  await expect(entry.getByRole('link', { name: '打开用户' })).toHaveAttribute('href', `/users/${person.id}`)
  await entry.getByRole('button', { name: '这个人的其他记录' }).click()
  await expect(page).toHaveURL(new RegExp(`user=${town.people.areas.id}`))
  await expect(table.locator('tbody tr').nth(1)).toBeVisible()
})

test('what changed something is shown without what was only looked at', async ({ page, town }) => {
  const { areas, auditor } = town.people
  const person = await town.person('watched.two', '再查', 'collector')
  await town.ask(areas, 'GET', `/api/users/${person.id}`)
  await enter(page, town, auditor, `/audit?user=${areas.id}&action=show_user`)
  const table = page.getByRole('table', { name: '审计记录' })
  await expect(table.locator('tbody tr').first()).toContainText('查看用户')
  // What only looks is no longer asked for.
  await page.locator('.el-checkbox', { hasText: '只看改动' }).click()
  await expect(page).toHaveURL(`${town.url}/audit?user=${areas.id}&changes=true`)
  await expect(table).toContainText('新建用户')
  await expect(table).toContainText('授予角色')
  await expect(table).not.toContainText('查看')
  await page.reload()
  await expect(table).toContainText('新建用户')
  await expect(table).not.toContainText('查看')
  await page.getByRole('combobox', { name: '做了什么' }).click()
  await expect(page.getByRole('option', { name: '新建用户' })).toBeVisible()
  await expect(page.getByRole('option', { name: '查看用户列表' })).toHaveCount(0)
  await page.keyboard.press('Escape')
  await page.getByRole('button', { name: '导出' }).click()
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('menuitem', { name: '导出为 CSV 表格' }).click(),
  ])
  const text = readFileSync(await download.path(), 'utf8')
  expect(text).toContain('新建用户,create_user')
  expect(text).not.toContain('show_user')
  await page.getByRole('button', { name: '清除筛选' }).click()
  await expect(page).toHaveURL(`${town.url}/audit`)
  await expect(table).toContainText('查看')
})

test('what an entry says is in words: fields, codes, what it names', async ({ page, town }) => {
  const resident = town.resident()
  const reveal = { purpose: 'service', fields: ['name', 'phone'] }
  await town.ask(town.people.zhou, 'POST', `/api/records/${resident.id}/reveal`, reveal)
  await enter(page, town, town.people.auditor, `/audit?subject=${resident.id}&action=reveal_record`)
  await page.getByRole('table', { name: '审计记录' }).locator('tbody tr').first().click()
  const entry = page.getByRole('dialog', { name: /^第 .* 条记录$/ })
  await expect(entry).toContainText('查看目的办理服务事项')
  await expect(entry).toContainText('项目姓名')
  // The auditor reads no register: the record is not a link, but all that was done to it can be listed.
  await expect(entry.getByRole('link', { name: '打开档案' })).toHaveCount(0)
  await entry.getByRole('button', { name: '这个对象的其他记录' }).click()
  await expect(page).toHaveURL(new RegExp(`subject=${resident.id}$`))
})

test('every key of what the log says has words', async ({ town }) => {
  const missing = new Set<string>()
  let cursor = ''
  do {
    const page = await town.ask(town.people.auditor, 'GET', `/api/audit?limit=500${cursor}`)
    for (const entry of page['items'] as { action: string; detail: object }[]) {
      for (const key of Object.keys(entry.detail)) if (!(key in auditDetail.keys)) missing.add(`${entry.action}.${key}`)
    }
    cursor = page['next'] ? `&cursor=${String(page['next'])}` : ''
  } while (cursor)
  expect([...missing]).toEqual([])
})

test('days of the search are days of Shanghai, the last one whole', async ({ page, town }) => {
  const day = new Intl.DateTimeFormat('sv-SE', { timeZone: 'Asia/Shanghai' }).format(new Date())
  await enter(page, town, town.people.auditor, `/audit?from=${day}&until=${day}&action=sign_in`)
  await expect(page.getByRole('table', { name: '审计记录' }).locator('tbody tr').first()).toContainText('登录控制台')
  await page.goto(`${town.url}/audit?from=2001-01-01&until=2001-01-02`)
  await expect(page.getByText('没有符合条件的记录')).toBeVisible()
})

test('the log is taken out as a table and as lines, as it was searched', async ({ page, town }) => {
  await town.ask(town.people.zhou, 'GET', `/api/devices?area=${COMMITTEE}`)
  await enter(page, town, town.people.auditor, `/audit?user=${town.people.zhou.id}&action=list_devices`)
  await expect(page.getByRole('table', { name: '审计记录' }).locator('tbody tr').first()).toBeVisible()
  for (const [entry, ending] of [
    ['导出为 CSV 表格', 'csv'],
    ['导出为 JSON（每行一条）', 'jsonl'],
  ] as const) {
    await page.getByRole('button', { name: '导出' }).click()
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('menuitem', { name: entry }).click(),
    ])
    expect(download.suggestedFilename()).toMatch(new RegExp(`\\.${ending}$`))
    const text = readFileSync(await download.path(), 'utf8')
    expect(text).toContain(town.people.zhou.id)
    expect(text).not.toContain('sign_in')
    if (ending === 'jsonl') {
      const first = JSON.parse(text.split('\n')[0] ?? '') as Record<string, unknown>
      expect(first['user_name']).toBe('周敏')
    }
  }
})

test('the whole log is verified, and the result stays while one looks elsewhere', async ({ page, town }) => {
  await town.ask(town.people.auditor, 'POST', '/api/audit/signatures')
  await enter(page, town, town.people.auditor, '/audit')
  await page.getByRole('button', { name: '核验日志' }).click()
  await expect(page.getByText('日志完整')).toBeVisible()
  await expect(page.getByText(/核对了 [\d,]+ 条记录和 \d+ 个签名/)).toBeVisible()
  await page.getByRole('link', { name: '工作台' }).click()
  await expect(page.getByRole('heading', { name: '工作台' })).toBeVisible()
  await page.getByRole('link', { name: '审计日志' }).click()
  await expect(page.getByText('日志完整')).toBeVisible()
})

test('a log of many steps shows how far it is, and a broken one names its entry', async ({ page, town }) => {
  let steps = 0
  const hash = '0'.repeat(64)
  let go: () => void = () => undefined
  const wait = new Promise<void>(resolve => (go = resolve))
  await page.route('**/api/audit/verify?*', async route => {
    const after = Number(new URL(route.request().url()).searchParams.get('after') ?? 0)
    steps++
    if (after === 20_000) await wait
    const fault = after >= 40_000 ? { fault: 'altered', seq: 41_234 } : null
    const entries = fault ? 41_233 : after + 20_000
    await route.fulfill({ json: { entries, head: 50_000, hash, signatures: 0, fault } })
  })
  await enter(page, town, town.people.auditor, '/audit')
  await page.getByRole('button', { name: '核验日志' }).click()
  await expect(page.getByText('已核对 20,000 条，共 50,000 条')).toBeVisible()
  await page.getByRole('link', { name: '工作台' }).click()
  go()
  await page.getByRole('link', { name: '审计日志' }).click()
  await expect(page.getByRole('alert')).toContainText('第 41,234 条记录的内容与写入时不同')
  expect(steps).toBe(3)
})

test('from one entry to the next older one, past the end of what is shown', async ({ page, town }) => {
  const { zhou, auditor } = town.people
  for (let n = 0; n < 52; n++) await town.ask(zhou, 'GET', `/api/devices?area=${COMMITTEE}`)
  await enter(page, town, auditor, `/audit?user=${zhou.id}&action=list_devices`)
  const rows = page.getByRole('table', { name: '审计记录' }).locator('tbody tr')
  await expect(rows).toHaveCount(50)
  await rows.nth(49).click()
  const entry = page.getByRole('dialog', { name: /^第 .* 条记录$/ })
  const title = await entry.getByRole('heading').first().innerText()
  await entry.getByRole('button', { name: '较早一条' }).click()
  await expect(entry.getByRole('heading').first()).not.toHaveText(title)
  await expect(rows.nth(50)).toBeAttached()
})

test('an export that was cut says so, and is named after the day in Shanghai', async ({ page, town }) => {
  // 16:30 in Greenwich is half past midnight of the next day.
  await page.clock.install({ time: new Date('2026-11-27T16:30:00Z') })
  let cut = true
  await page.route('**/api/audit/export?*', route =>
    route.fulfill({
      body: '序号',
      contentType: 'text/csv',
      ...(cut && { headers: { 'doorstep-cut-after': '100000' } }),
    }),
  )
  await enter(page, town, town.people.auditor, '/audit')
  const take = async () => {
    await page.getByRole('button', { name: '导出' }).click()
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('menuitem', { name: '导出为 CSV 表格' }).click(),
    ])
    return download.suggestedFilename()
  }
  expect(await take()).toContain('2026-11-28')
  await expect(page.getByText('只有最新的 100,000 条')).toBeVisible()
  cut = false
  await page.clock.fastForward('00:20')
  await take()
  await expect(page.getByText('只有最新的 100,000 条')).toHaveCount(0)
})
