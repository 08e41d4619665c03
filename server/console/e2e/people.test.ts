// People: found by what one types, masked until revealed for a purpose, edited by the phone's rules, and never as HTML.
import type { Page } from '@playwright/test'
import { household, person, register } from './estate'
import { confirm, enter, expect, giving, pictures, test } from './test'
import { COMMITTEE, type Town } from './town'

async function onDevice(town: Town, id: string): Promise<string> {
  return JSON.stringify(await town.device('li', 'show', id))
}

const rows = (page: Page) => page.getByRole('table', { name: '人员' }).getByRole('row')

test('pinyin initials find a person, and an answer that comes too late changes nothing', async ({ page, town }) => {
  const id = await person(town, '欧阳静怡')
  let late = 0
  await page.route(/\/api\/residents\?.*text=ou(&|$)/, async route => {
    late++
    const answer = await route.fetch()
    await new Promise(done => setTimeout(done, 2500))
    await route.fulfill({ response: answer })
  })
  await enter(page, town, town.people.zhou, '/people')
  await expect(rows(page).nth(5)).toBeVisible()
  await page.keyboard.press('f')
  await page.keyboard.type('ou')
  await expect.poll(() => late).toBe(1)
  await page.keyboard.type('yjy', { delay: 20 })
  await page.keyboard.press('Home')
  await page.getByRole('searchbox', { name: '查找人员' }).fill('oyjy')
  await expect(rows(page)).toHaveCount(2)
  await expect(rows(page).nth(1)).toContainText('欧**')
  await page.waitForTimeout(2800)
  await expect(rows(page)).toHaveCount(2)
  expect(new URL(page.url()).searchParams.get('text')).toBe('oyjy')
  await page.reload()
  await expect(rows(page)).toHaveCount(2)
  // From the box on to the first row, and into its file.
  await page.getByRole('searchbox', { name: '查找人员' }).press('Enter')
  await expect(rows(page).nth(1)).toBeFocused()
  await page.keyboard.press('Enter')
  await page.waitForURL(`**/people/${id}`)
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('欧**')
})

test('filters narrow the list and live in the address; columns are kept in the browser', async ({ page, town }) => {
  await person(town, '钟离暂', { away: true, away_from: '2026-11-01', 'tags/veteran': true })
  await enter(page, town, town.people.zhou, '/people?facets=tags:veteran,away:true')
  await expect(rows(page)).toHaveCount(2)
  await expect(rows(page).nth(1)).toContainText('退役军人')
  await page.getByRole('button', { name: '显示列' }).click()
  await page.locator('.el-checkbox', { hasText: '婚姻状况' }).click()
  await expect(page.getByRole('columnheader', { name: '婚姻状况' })).toBeVisible()
  await page.reload()
  await expect(page.getByRole('columnheader', { name: '婚姻状况' })).toBeVisible()
  await page.getByRole('button', { name: '清除筛选' }).click()
  await expect(rows(page).nth(5)).toBeVisible()
  await expect(page.getByText(/共 \d+ 条/).first()).toBeVisible()
})

test('masked values are shown for a purpose, and the audit log names it', async ({ page, town }) => {
  const id = await person(town, '闻人素锦', { phone: '13912345678' })
  await enter(page, town, town.people.zhou, '/people?text=wrsj')
  await expect(rows(page)).toHaveCount(2)
  await expect(rows(page).nth(1)).toContainText('139****5678')
  expect(await page.content()).not.toContain('13912345678')
  await page.getByRole('button', { name: '看全部：闻**的完整信息' }).click()
  const dialog = page.getByRole('dialog')
  await expect(dialog.getByRole('button', { name: '查看', exact: true })).toBeDisabled()
  await dialog.getByText('紧急联系').click()
  await dialog.getByRole('button', { name: '查看', exact: true }).click()
  await expect(rows(page).nth(1)).toContainText('13912345678')
  await expect(rows(page).nth(1)).toContainText('闻人素锦')
  const log = await town.ask(town.people.auditor, 'GET', `/api/audit?action=reveal_record&subject=${id}`)
  const entries = JSON.stringify(log['items'])
  expect(entries).toContain('reveal_record')
  expect(entries).toContain('emergency')
  expect(entries).not.toContain('13912345678')
})

test('the history follows what is revealed in the file, for the same purpose, and is masked again', async ({
  page,
  town,
}) => {
  const id = await person(town, '闻人秋水', { phone: '13912345678' })
  await enter(page, town, town.people.zhou, `/people/${id}?tab=history`)
  const history = page.getByRole('tabpanel', { name: '修改历史' })
  const phone = history.getByRole('row', { name: /手机号码/ })
  await expect(phone).toContainText('139****5678')
  expect(await page.content()).not.toContain('13912345678')
  await page.getByRole('button', { name: '查看完整信息' }).click()
  await page.getByRole('dialog').getByText('办理服务事项').click()
  await page.getByRole('dialog').getByRole('button', { name: '查看', exact: true }).click()
  await expect(phone).toContainText('13912345678')
  await expect(history).toContainText('闻人秋水')
  const log = await town.ask(town.people.auditor, 'GET', `/api/audit?action=show_history&subject=${id}`)
  const [revealed, masked] = log['items'] as { detail: object }[]
  expect(revealed?.detail).toEqual({ purpose: 'service', revealed: true })
  expect(masked?.detail).toEqual({})
  await page.getByRole('button', { name: '重新遮挡' }).click()
  await expect(phone).toContainText('139****5678')
  expect(await page.content()).not.toContain('13912345678')
})

test('what was revealed is masked again when the record changes under it, and the history is not taken away', async ({
  page,
  town,
}) => {
  const resident = town.resident()
  await enter(page, town, town.people.zhou, `/people/${resident.id}?tab=history`)
  const history = page.getByRole('tabpanel', { name: '修改历史' })
  await expect(history.locator('.line li')).toHaveCount(1)
  await history.getByRole('button', { name: /展开其余/ }).click()
  await page.getByRole('button', { name: '查看完整信息' }).click()
  await page.getByRole('dialog').getByText('办理服务事项').click()
  await page.getByRole('dialog').getByRole('button', { name: '查看', exact: true }).click()
  await expect(page.getByText('正在显示完整信息')).toBeVisible()
  await town.dispute(['姓名=江上清', '姓名=江上青'], resident)
  await expect(history.locator('.line li').nth(2)).toBeVisible()
  await expect(page.getByText('正在显示完整信息')).toHaveCount(0)
  await expect(history).toContainText('江**')
  await expect(history).not.toContainText('江上')
  await expect(history.getByRole('button', { name: /展开其余/ })).toHaveCount(0)
})

test('photos are shown for what the file is revealed for, and end with it: taken back, by time, with another file', async ({
  page,
  town,
}) => {
  const { people } = await household(town, town.people.zhou, COMMITTEE)
  const id = people[0] ?? ''
  await town.sync('li')
  await town.device('li', 'photo', 'add', id, town.photo(11), '--field', 'portrait')
  await town.sync('li')
  const held = await pictures(page)
  await page.clock.install()
  await enter(page, town, town.people.zhou, `/people/${id}?tab=photos`)
  const panel = page.getByRole('tabpanel', { name: '照片' })
  const none = async () => {
    await expect(panel.getByText('需说明目的')).toBeVisible()
    await expect(page.locator('img[src^="blob:"]')).toHaveCount(0)
    expect(await held()).toBe(0)
  }
  await none()

  // One purpose for the file and its photos, until it is taken back.
  const reveal = page.getByRole('button', { name: '查看完整信息' })
  await reveal.click()
  await giving(page, '办理服务事项')
  const small = panel.locator('img')
  await expect(small).toHaveCount(1)
  await expect.poll(() => small.evaluate(image => (image as HTMLImageElement).naturalWidth)).toBeGreaterThan(100)
  await expect(panel.getByRole('button', { name: '查看人像照片' })).toHaveCount(0)
  const log = await town.ask(town.people.auditor, 'GET', `/api/audit?action=show_photo_thumbnail&subject=${id}`)
  expect((log['items'] as { detail: object }[]).map(entry => entry.detail)).toMatchObject([{ purpose: 'service' }])
  await page.getByRole('button', { name: '重新遮挡' }).click()
  await none()

  // By time, whatever is enlarged.
  await reveal.click()
  await giving(page, '上门核实')
  await panel.getByRole('button', { name: /^放大/ }).click()
  await expect(page.getByRole('dialog').locator('img')).toBeVisible()
  expect(await held()).toBe(2)
  await page.clock.fastForward('05:01')
  await none()
  await expect(page.getByRole('dialog')).toHaveCount(0)

  // The photos alone: the rest stays masked.
  await panel.getByRole('button', { name: '查看人像照片' }).click()
  await giving(page, '上门核实')
  await expect(small).toHaveCount(1)
  await expect(reveal).toBeVisible()
  await panel.getByRole('button', { name: '重新遮挡' }).click()
  await none()
  await panel.getByRole('button', { name: '查看人像照片' }).click()
  await giving(page, '上门核实')
  await expect(small).toHaveCount(1)
  await page.clock.fastForward('05:01')
  await none()

  // With another file.
  await reveal.click()
  await giving(page, '上门核实')
  await expect(small).toHaveCount(1)
  await page.getByRole('region', { name: '同住与同户' }).getByRole('link').first().click()
  await expect(page).toHaveURL(`${town.url}/people/${people[1] ?? ''}`)
  await expect(reveal).toBeVisible()
  await page.goBack()
  await expect(reveal).toBeVisible()
  await none()
})

test('a file that does not exist, or not in the areas of who asks, says so and leads back to the list', async ({
  page,
  town,
}) => {
  const { house, people } = await household(town, town.people.zhou, COMMITTEE)
  await enter(page, town, town.people.elsewhere, `/people/${people[0] ?? ''}`)
  for (const [path, called] of [
    [`/people/${people[0] ?? ''}`, '人员档案'],
    ['/people/0190a3f0-0000-7000-8000-00000000dead', '人员档案'],
    [`/houses/${house}`, '房屋档案'],
    ['/houses/0190a3f0-0000-7000-8000-00000000dead', '房屋档案'],
  ] as const) {
    await page.goto(town.url + path)
    await expect(page.getByRole('heading', { level: 1 })).toHaveText(`找不到这份${called}`)
    await expect(page.getByRole('alert')).toContainText('不在您负责的区划内')
    await expect(page.getByRole('button', { name: '重试' })).toHaveCount(0)
    await page.getByRole('link', { name: '回到列表' }).click()
    await expect(page).toHaveURL(town.url + (path.startsWith('/people') ? '/people' : '/houses'))
  }
})

test('what is known by an id alone and is not there says so and leads to the lists', async ({ page, town }) => {
  const { people } = await household(town, town.people.zhou, COMMITTEE)
  await enter(page, town, town.people.elsewhere, `/records/${people[0] ?? ''}`)
  for (const [path, title, lists] of [
    [`/records/${people[0] ?? ''}`, '找不到这份档案', { 回到人员列表: '/people', 回到房屋列表: '/houses' }],
    [
      '/records/0190a3f0-0000-7000-8000-00000000dead',
      '找不到这份档案',
      { 回到人员列表: '/people', 回到房屋列表: '/houses' },
    ],
    ['/checks/0190a3f0-0000-7000-8000-00000000dead', '找不到这项核查', { 回到人员列表: '/people', 回到工作台: '/' }],
  ] as const) {
    for (const [words, to] of Object.entries(lists)) {
      await page.goto(town.url + path)
      await expect(page.getByRole('heading', { level: 1 })).toHaveText(title)
      await expect(page.getByRole('alert')).toContainText('不在您负责的区划内')
      await expect(page.getByRole('button', { name: '重试' })).toHaveCount(0)
      await page.getByRole('link', { name: words }).click()
      await expect(page).toHaveURL(town.url + to)
    }
  }
})

test('an edit from the console is seen on a phone, and what is wrong is said beside its input', async ({
  page,
  town,
}) => {
  const { id } = town.resident()
  await enter(page, town, town.people.zhou, `/people/${id}`)
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
  await page.keyboard.press('e')
  const form = page.getByRole('form', { name: '编辑档案' })
  await expect(form.getByRole('button', { name: '保存' })).toBeInViewport()
  await form.getByLabel('手机号码').fill('12')
  await form.getByLabel('工作单位').fill('安康小学')
  await form.getByLabel('户籍地区划').fill('31')
  await form.getByRole('button', { name: '保存' }).click()
  await expect(form.locator('.field.wrong')).toHaveCount(2)
  await expect(form.locator('.field.wrong', { hasText: '手机号码' }).getByRole('alert')).toBeVisible()
  await form.getByLabel('手机号码').fill('13911112222')
  await form.getByLabel('户籍地区划').fill('310101')
  await form.getByRole('button', { name: '保存' }).click()
  await expect(form).toHaveCount(0)
  await town.sync('li')
  const shown = await onDevice(town, id)
  expect(shown).toContain('安康小学')
  expect(shown).toContain('13911112222')
})

test('when somebody else was first, theirs is shown and nothing typed is lost', async ({ page, town }) => {
  const { id } = town.resident()
  await enter(page, town, town.people.zhou, `/people/${id}`)
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
  await page.keyboard.press('e')
  const form = page.getByRole('form', { name: '编辑档案' })
  await form.getByLabel('职业', { exact: true }).fill('教师')
  await town.device('li', 'set', id, '职业=司机', '工作单位=安康印刷厂')
  await town.sync('li')
  await form.getByRole('button', { name: '保存' }).click()
  const told = form.locator('.others')
  await expect(told).toContainText('李静')
  await expect(told).toContainText('工作单位')
  await expect(form.getByLabel('职业', { exact: true })).toHaveValue('教师')
  await expect(form.locator('.field', { hasText: '职业' }).locator('.note')).toContainText('李静')
  await form.getByRole('button', { name: '保存我的修改' }).click()
  await expect(form).toHaveCount(0)
  await town.sync('li')
  expect(await onDevice(town, id)).toContain('教师')
  await page.getByRole('tab', { name: '修改历史' }).click()
  await expect(page.getByText('李静的手机').first()).toBeVisible()
  await expect(page.getByText('网页、裁决或导入').first()).toBeVisible()
})

test('what is typed is not left unasked, and the file that one goes on to is opened to be read', async ({
  page,
  town,
}) => {
  const { people } = await household(town, town.people.zhou, COMMITTEE)
  await enter(page, town, town.people.zhou, `/people/${people[0] ?? ''}`)
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
  await page.keyboard.press('e')
  const typed = page.getByRole('form', { name: '编辑档案' }).getByLabel('工作单位')
  await typed.fill('望江茶楼')
  const asked: string[] = []
  let goes = false
  page.removeAllListeners('dialog')
  page.on('dialog', dialog => {
    asked.push(dialog.type())
    void (goes ? dialog.accept() : dialog.dismiss())
  })
  const other = page.getByRole('region', { name: '同住与同户' }).getByRole('link').first()
  await other.click()
  await expect.poll(() => asked).toEqual(['confirm'])
  await expect(typed).toHaveValue('望江茶楼')
  await page.close({ runBeforeUnload: true })
  await expect.poll(() => asked).toEqual(['confirm', 'beforeunload'])
  await expect(typed).toHaveValue('望江茶楼')
  goes = true
  await other.click()
  await expect(page).toHaveURL(`${town.url}/people/${people[1] ?? ''}`)
  await expect(page.getByRole('button', { name: '编辑', exact: true })).toBeVisible()
  await expect(typed).toHaveCount(0)
})

test('what changed while the form was open is shown when it is closed without saving', async ({ page, town }) => {
  const resident = town.resident()
  await enter(page, town, town.people.zhou, `/people/${resident.id}`)
  await expect(page.getByText('实时更新已连接')).toBeAttached()
  await page.keyboard.press('e')
  const form = page.getByRole('form', { name: '编辑档案' })
  await form.getByLabel('工作单位').fill('望江茶楼')
  await town.dispute(['姓名=沈小满', '姓名=沈晓满'], resident)
  const told = page.locator('.about').getByText('1 项待裁决')
  // Nothing is taken from under the form.
  await page.waitForTimeout(1500)
  await expect(told).toHaveCount(0)
  await form.getByRole('button', { name: '放弃' }).click()
  await expect(form).toHaveCount(0)
  await expect(told).toBeVisible()
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('沈**')
})

test('a file that is left open with something typed is signed out without a question', async ({ page, town }) => {
  const id = await person(town, '闻人语')
  await page.clock.install()
  await enter(page, town, town.people.zhou, `/people/${id}`)
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
  await page.keyboard.press('e')
  await page.getByRole('form', { name: '编辑档案' }).getByLabel('工作单位').fill('望江茶楼')
  await page.clock.fastForward('31:00')
  await expect(page.getByText('长时间未操作，已自动退出')).toBeVisible()
})

test('a person is away and back, cancelled and restored', async ({ page, town }) => {
  const id = await person(town, '桑榆晚')
  await enter(page, town, town.people.zhou, `/people/${id}`)
  await page.getByRole('button', { name: '登记暂离' }).click()
  const away = page.getByRole('dialog')
  await away.getByLabel('去向').fill('苏州市')
  await away.getByRole('button', { name: '保存' }).click()
  await expect(page.locator('.about').getByText('暂离')).toBeVisible()
  await page.getByRole('button', { name: '修改暂离' }).click()
  await away.getByRole('button', { name: '已返回' }).click()
  await page.getByRole('dialog', { name: '已返回' }).getByRole('button', { name: '已返回' }).click()
  await expect(page.locator('.about').getByText('暂离')).toHaveCount(0)
  await page.getByRole('button', { name: '注销' }).click()
  await page.getByRole('dialog').getByRole('combobox', { name: '注销原因' }).click()
  await page.getByRole('option', { name: '登记错误' }).click()
  await page.getByRole('dialog').getByRole('button', { name: '注销' }).click()
  await expect(page.locator('.about').getByText('已注销')).toBeVisible()
  await page.getByRole('button', { name: '恢复' }).click()
  await page.getByRole('dialog').getByLabel('恢复原因').fill('核对后确认在册')
  await page.getByRole('dialog').getByRole('button', { name: '恢复' }).click()
  await expect(page.getByRole('button', { name: '编辑' })).toBeVisible()
})

test('a claimed main residence is compared in the file, and decided in its item with a look at what it comes to', async ({
  page,
  town,
}) => {
  const { people } = await household(town, town.people.zhou, COMMITTEE)
  const id = people[1] ?? ''
  const other = await household(town, town.people.zhou, COMMITTEE)
  const tie = { resident: id, house: other.house, kind: 'living' }
  await register(town, town.people.zhou, 'residences', tie, COMMITTEE)
  await enter(page, town, town.people.zhou, `/people/${id}`)
  await page.getByRole('button', { name: '认领为主要居住地' }).click()
  await page.getByRole('dialog').getByRole('textbox').fill('现住这里')
  await page.getByRole('dialog').getByRole('button', { name: '认领为主要居住地' }).click()
  const compared = page.getByRole('region', { name: '主要居住地核对' })
  await expect(compared).toContainText('现登记')
  await expect(compared).toContainText('被认领')
  // Nothing is decided unseen: the item says what is written and who is told.
  await expect(compared.getByRole('button')).toHaveCount(0)
  await compared.getByRole('link', { name: '到待裁决事项中查看、裁决' }).click()
  await page.getByRole('button', { name: '确认认领' }).click()
  await expect(page.getByRole('dialog', { name: /^确认/ })).toContainText('将写入')
  await confirm(page)
  await page.goto(`${town.url}/people/${id}`)
  await expect(page.getByRole('region', { name: '居住关系' })).toBeVisible()
  await expect(compared).toHaveCount(0)
  const list = page.getByRole('region', { name: '居住关系' }).getByRole('listitem')
  await expect(list.first()).toContainText('主要居住地')
})

test('a script in a name or an address does not run, in list, file, history or building view', async ({
  page,
  town,
}) => {
  const script = '<img src=x onerror="window.ran=1">'
  const name = `${script}王`
  const id = await person(town, name, { workplace: script, remark: `<script>window.ran=1</script>` })
  const house = await register(
    town,
    town.people.zhou,
    'houses',
    { address: `安康路99弄1号101室`, estate_name: script, house_use: '1', layout: '<b>两室</b>', 'hazards/<b>x': true },
    COMMITTEE,
  )
  await register(town, town.people.zhou, 'residences', { resident: id, house, kind: 'living' }, COMMITTEE)
  const ran = () => page.evaluate(() => 'ran' in window)
  await enter(page, town, town.people.zhou, '/people')
  await page.getByRole('searchbox', { name: '查找人员' }).fill('王')
  await expect(rows(page).nth(1)).toBeVisible()
  expect(await ran()).toBe(false)
  await page.goto(`${town.url}/people/${id}`)
  await page.getByRole('button', { name: '查看完整信息' }).click()
  await page.getByRole('dialog').getByText('上门核实').click()
  await page.getByRole('dialog').getByRole('button', { name: '查看', exact: true }).click()
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(name)
  await page.getByRole('tab', { name: '修改历史' }).click()
  await expect(page.locator('.line li').first()).toBeVisible()
  expect(await ran()).toBe(false)
  await page.goto(`${town.url}/houses/${house}`)
  await expect(page.getByText(script).first()).toBeVisible()
  await page.goto(`${town.url}/buildings?area=${COMMITTEE}&room=${house}`)
  await expect(page.getByRole('dialog')).toContainText('安康路99弄1号101室')
  await expect(page.getByRole('heading', { name: script }).first()).toBeAttached()
  expect(await ran()).toBe(false)
  expect(await page.locator('img[src="x"]').count()).toBe(0)
})
