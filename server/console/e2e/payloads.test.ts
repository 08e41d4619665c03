// SQL, scripts and odd text in whatever a person can type, shown by a real browser on every screen that shows it:
// nothing runs, nothing is fetched, and each stands there as it was typed.
import type { Page } from '@playwright/test'
import { person, register } from './estate'
import { BORN, Garden, line, part, payloads, RARE, scripts } from './garden'
import { enter, expect, giving, test, watch } from './test'
import { COMMITTEE, type Person, type Town } from './town'

/** People, each with a house, and the elements of each of their sets and lists: places enough for every payload. */
const PEOPLE = 3
const MANY = 30
/** A conflict item shows so many visits. */
const VISITS = 5
/** Most characters of a visit's note, the longest of all texts. */
const LONGEST = 2000
/** Most characters of a user's name. */
const NAME = 50
/** Most characters of a file's name, or of what is said of a version. */
const FILE = 200
/** Users without a device. */
const OTHERS = 2
/** Villages that have another name for a while. */
const VILLAGES = 40

test.beforeEach(async ({ page, faults }) => {
  page.on('request', request => {
    if (new URL(request.url()).hostname.endsWith('evil.example')) faults.push(`fetched: ${request.url()}`)
  })
  page.on('console', message => {
    if (message.text().includes('Refused to')) faults.push(message.text())
  })
  // Said on the console, where it is noticed: what is stopped is not always said there.
  await page.addInitScript(() => {
    addEventListener('securitypolicyviolation', event => {
      console.error(`Content Security Policy: ${event.violatedDirective} ${event.blockedURI}`)
    })
  })
})

/** A line of a file. */
const quoted = (cells: string[]) => cells.map(cell => `"${cell.replaceAll('"', '""')}"`).join(',')
const rows = (page: Page, table: string) => page.getByRole('table', { name: table }).locator('tbody tr')

/** Signs in in place of whoever was there. */
async function change(page: Page, town: Town, to: Person, path: string): Promise<void> {
  await page.goto(`${town.url}/sign-in`)
  await page.evaluate(() => sessionStorage.clear())
  await enter(page, town, to, path)
}

test('what stands in every text of a person, a house, a residence and a visit is shown and never run', async ({
  page,
  town,
}) => {
  test.setTimeout(120_000)
  const { zhou } = town.people
  const garden = await Garden.in(town)
  const homes: { resident: string; house: string }[] = []
  for (let at = 0; at < PEOPLE; at++) {
    const who = { sex: '2', birth_date: '1975-06-01', population_kind: '02' }
    const someone = { ...garden.fill('resident', 'supervisor', MANY), ...who }
    const resident = await register(town, zhou, 'residents', someone, COMMITTEE)
    const place = { ...garden.fill('house', 'supervisor', MANY), house_use: '1' }
    homes.push({ resident, house: await register(town, zhou, 'houses', place, COMMITTEE) })
  }
  const [first, second] = homes
  if (!first || !second) throw new Error('nobody was registered')
  // Without a house a residence's own address is shown.
  const tie = { ...garden.fill('residence', 'supervisor'), resident: second.resident, kind: 'living' }
  const residence = await register(town, zhou, 'residences', tie, COMMITTEE)
  const home = { resident: first.resident, house: first.house, kind: 'living' }
  await register(town, zhou, 'residences', home, COMMITTEE)
  await town.sync('li', 'wang')
  for (let at = 0; at < VISITS; at++) {
    await town.device('li', 'visit', '--resident', first.resident, ...garden.said('visit'))
  }
  // One item of the queue shows the person with all that the file has, the other the residence.
  for (const [who, address, main] of [
    ['li', '甲', '是'],
    ['wang', '乙', '否'],
  ] as const) {
    await town.device(who, 'set', first.resident, `户籍地址=${scripts[1] ?? ''}${address}`)
    await town.device(who, 'set', residence, `主要居住地=${main}`)
  }
  await town.sync('li', 'wang')
  const items = [
    { item: await town.conflictOf(first.resident), about: '户籍地址' },
    { item: await town.conflictOf(residence), about: '主要居住地' },
  ]

  await enter(page, town, zhou, `/people?text=${RARE}`)
  await expect(page.getByRole('row')).toHaveCount(PEOPLE + 1)
  await garden.look(page)
  await page.goto(`${town.url}/houses?text=${RARE}`)
  await expect(page.getByRole('row')).toHaveCount(PEOPLE + 1)
  await garden.look(page)
  for (const file of homes.flatMap(({ resident, house }) => [`/people/${resident}`, `/houses/${house}`])) {
    await page.goto(town.url + file)
    await page.getByRole('button', { name: '查看完整信息' }).click()
    await giving(page, '上门核实')
    await garden.look(page)
    if (file.endsWith(first.resident)) {
      await page.getByRole('tab', { name: '走访' }).click()
      await expect(page.getByRole('tabpanel', { name: '走访' }).getByText('走访记录').first()).toBeVisible()
      await garden.look(page)
    }
    if (![first.resident, first.house].some(id => file.endsWith(id))) continue
    await page.getByRole('tab', { name: '修改历史' }).click()
    await page
      .getByRole('button', { name: /^展开其余/ })
      .last()
      .click()
    await garden.look(page)
  }
  for (const { house } of [first, second]) {
    await page.goto(`${town.url}/buildings?area=${COMMITTEE}&room=${house}`)
    await expect(page.getByRole('dialog')).toContainText(RARE)
    await garden.look(page)
  }
  for (const { item, about } of items) {
    await page.goto(`${town.url}/conflicts/${item}`)
    await expect(page.locator('.card .value').first()).toBeVisible()
    await page.keyboard.press('h')
    await expect(page.locator('details', { hasText: '修改历史' })).toContainText(about)
    await garden.look(page)
  }
  for (const path of ['/', ...['population', 'addresses', 'former', 'register'].map(tab => `/ledgers?tab=${tab}`)]) {
    await page.goto(town.url + path)
    await page.getByRole('heading', { level: 1 }).first().waitFor()
    await garden.look(page)
  }

  // They did come to the screens: each as it was typed, and of all that a field can hold each.
  expect(garden.unseen).toEqual([])
  expect(garden.left(LONGEST)).toEqual([])
  expect(garden.fields.length).toBeGreaterThan(30)
})

test('each payload stands as it was typed at the head of a column, or where it is looked for', async ({
  page,
  town,
}) => {
  expect(payloads).toHaveLength(500)
  const { zhou } = town.people
  const garden = await Garden.in(town)
  async function bring(columns: string[], then: 'check' | 'run'): Promise<{ path: string; heads: string[] }> {
    // What stands in brackets says nothing of where a column goes; that the day is none is said beside its head.
    const days = ['出生日期', '登记日期', '来沪日期'].map(label => `${label}(${garden.next('import.head', 100)})`)
    const heads = ['姓名', '性别', '人员类别', ...days, ...columns, '备注']
    const cells = ['向晚晴', '女', '来沪', ...days.map(() => '1990-13-01'), ...columns, '']
    const name = garden.next('import.file_name', FILE, part)
    const query = new URLSearchParams({ type: 'resident', area: COMMITTEE, name, then })
    const csv = `${quoted(heads)}\n${quoted(cells)}\n`
    const made = await town.ask(zhou, 'POST', `/api/imports?${query.toString()}`, csv)
    const path = `/imports/${String(made['id'])}`
    const status = then === 'run' ? 'done' : 'checked'
    await town.until(async () => (await town.ask(zhou, 'GET', `/api${path}`))['status'] === status)
    return { path, heads }
  }
  // A file with a zero character is no text to anyone, and has at most 300 columns.
  const columns = payloads.filter(payload => !payload.includes('\0'))
  const half = Math.ceil(columns.length / 2)
  const files = [
    await bring(columns.slice(0, half), 'run'),
    await bring(columns.slice(half), 'run'),
    await bring(scripts.slice(0, 4), 'check'),
  ]
  await enter(page, town, zhou, '/imports')
  await rows(page, '历次导入').first().waitFor()
  await garden.look(page)
  for (const { path, heads } of files) {
    await page.goto(town.url + path)
    await rows(page, '逐行结果').first().waitFor()
    const shown = rows(page, '表格的列').locator('td:nth-child(2)')
    await expect(shown).toHaveCount(heads.length)
    expect(await shown.evaluateAll(cells => cells.map(cell => cell.textContent))).toEqual(heads)
    await garden.look(page)
  }
  expect(garden.unseen).toEqual([])
  for (const payload of payloads.filter(payload => !columns.includes(payload))) {
    await page.goto(`${town.url}/people?text=${encodeURIComponent(payload)}`)
    const box = page.getByRole('searchbox', { name: '查找人员' })
    await expect(box).toBeVisible()
    expect(await box.inputValue()).toBe(payload)
    await garden.look(page)
  }
})

test('what stands in names of users, devices and areas, and in what was refused, is shown and never run', async ({
  page,
  town,
}) => {
  test.setTimeout(120_000)
  const { zhou, areas, security, auditor } = town.people
  const garden = await Garden.in(town)
  // Nobody tells a user's name from its device's but by what follows.
  const named = (): string => {
    const name = garden.next('user.name', NAME, line)
    garden.plant('device.name', `${name}的手机`)
    return name
  }
  const resident = await person(town, '贺龄年')
  const left = await town.leaver('payload.left', named())
  await town.device(left.person, 'set', resident, ...garden.said('resident'))
  await left.leave()
  const item = await town.conflictOf(resident)
  const copied = await town.alarm('payload.copied', named())
  for (let at = 0; at < OTHERS; at++) {
    await town.account(`payload.${at}`, garden.next('user.name', NAME, line), 'collector', COMMITTEE)
  }
  // Villages far from all others' work, for a while.
  const tree = (await town.ask(areas, 'GET', '/api/areas/tree')) as unknown as {
    code: string
    name: string
    level: string
    parent: string | null
  }[]
  const far = tree.filter(area => area.level === 'village').slice(-VILLAGES)
  const renamed = new Map(far.map(area => [area.code, garden.next('area.name', NAME, line)]))
  const areasWith = (names: Map<string, string>): string => {
    const lines = tree.map(area => [area.code, names.get(area.code) ?? area.name, area.level, area.parent ?? ''])
    return `${[['code', 'name', 'level', 'parent'], ...lines].map(quoted).join('\n')}\n`
  }
  const note = new URLSearchParams({ note: garden.next('area_version.note', FILE) })
  const made = await town.ask(areas, 'POST', `/api/areas/import?${note.toString()}`, areasWith(renamed))

  await enter(page, town, zhou, `/conflicts/${item}`)
  await page.getByRole('list', { name: '被拒的更改' }).getByRole('listitem').first().waitFor()
  await garden.look(page)
  await change(page, town, areas, `/areas/versions/${String(made['version'])}`)
  await expect(page.getByRole('table').locator('tbody tr')).toHaveCount(renamed.size)
  await garden.look(page)
  await page.goto(`${town.url}/areas/versions`)
  await rows(page, '区划的历次变动').first().waitFor()
  await garden.look(page)
  await page.goto(`${town.url}/areas?area=${far[0]?.code ?? ''}`)
  await page.getByRole('treeitem').first().waitFor()
  await garden.look(page)
  await page.goto(`${town.url}/users?text=payload.`)
  await expect(rows(page, '用户')).toHaveCount(OTHERS + 2)
  await garden.look(page)
  for (const { id } of [left.person, copied]) {
    await page.goto(`${town.url}/devices?user=${id}`)
    await rows(page, '设备').first().waitFor()
    await garden.look(page)
  }
  await change(page, town, security, `/alarms?user=${copied.id}`)
  await rows(page, '安全告警').first().waitFor()
  await garden.look(page)
  await change(page, town, auditor, `/audit?user=${left.person.id}`)
  await rows(page, '审计记录').first().waitFor()
  await garden.look(page)
  await town.ask(areas, 'POST', '/api/areas/import', areasWith(new Map()))
  expect(garden.unseen).toEqual([])
})

test('a script that did run would be noticed', async ({ browser }) => {
  const page = await (await browser.newContext()).newPage()
  const faults: string[] = []
  watch(page, faults)
  await page.setContent(scripts.slice(0, 4).join(''))
  await expect.poll(() => faults.length).toBeGreaterThan(0)
  expect(await page.locator(BORN).count()).toBeGreaterThan(0)
  await page.context().close()
})
