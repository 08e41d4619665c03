// Areas, users and devices: graded administration as the server allows it, felt at once by those it is about.
import type { Page } from '@playwright/test'
import { enter, expect, test, watch } from './test'
import { COMMITTEE, ELSEWHERE } from './town'

const ok = async (page: Page, dialog: string, button: string) =>
  page.getByRole('dialog', { name: dialog }).getByRole('button', { name: button }).click()

test('a user is created, told a password once, granted a role, and may sign in', async ({ page, town }) => {
  await enter(page, town, town.people.areas, '/users')
  await page.getByRole('button', { name: '新建用户' }).waitFor()
  await page.keyboard.press('n')
  const form = page.getByRole('dialog', { name: '新建用户' })
  await form.getByRole('button', { name: '创建' }).click()
  await expect(form).toContainText('请填写登录名')
  await form.getByLabel('登录名').fill('a b')
  await form.getByLabel('姓名').fill('新人')
  await form.getByRole('button', { name: '创建' }).click()
  await expect(form).toContainText('登录名为 3 到 64 位')
  await form.getByLabel('登录名').fill('xin.ren')
  await form.getByRole('button', { name: '创建' }).click()
  const told = page.getByRole('dialog', { name: '账号已创建' })
  const password = await told.getByLabel('临时密码').innerText()
  expect(password.length).toBeGreaterThan(7)
  await told.getByRole('button', { name: '去授权' }).click()

  await expect(page.getByRole('heading', { name: '新人' })).toBeVisible()
  await expect(page.getByText('还没有任何授权')).toBeVisible()
  await page.getByRole('combobox', { name: '角色' }).press('Enter')
  // The three administrators are apart: this one gives no auditor.
  await expect(page.getByRole('option', { name: '采集员' })).toBeVisible()
  await expect(page.getByRole('option', { name: '审计员' })).toHaveCount(0)
  await expect(page.getByRole('option', { name: '区划管理员' })).toHaveCount(0)
  await page.getByRole('option', { name: '主管' }).click()
  await page.getByRole('button', { name: '授予角色' }).click()
  await expect(page.getByText('已授权，立即生效').first()).toBeVisible()
  const grants = page.getByRole('table', { name: '授权' })
  await expect(grants.locator('tbody tr')).toContainText('主管')
  await expect(grants.locator('tbody tr')).toContainText('长期')
  await expect(grants.locator('tbody tr')).toContainText('区划管理员')
  const opened = await town.ask(undefined, 'POST', '/api/auth/sign-in', { login: 'xin.ren', password })
  expect(opened['must_change_password']).toBe(true)
})

test('why someone may do something is said with the grant that gives it', async ({ page, town }) => {
  await enter(page, town, town.people.areas, `/users/${town.people.zhou.id}`)
  const rights = page.getByRole('region', { name: '为什么可以' })
  await rights.getByRole('combobox', { name: '做什么' }).click()
  await page.getByRole('option', { name: '裁决冲突' }).click()
  await rights.getByRole('button', { name: '查一查' }).click()
  await expect(rights.getByRole('status')).toContainText('周敏可以在“云南中路居委会”裁决冲突')
  await expect(rights.getByRole('status')).toContainText('担任“主管”')
})

test('a grant that is taken back is felt by its holder at once', async ({ page, town, browser }) => {
  const person = await town.person('brief.helper', '短工', 'supervisor')
  const theirs = await (await browser.newContext()).newPage()
  const faults: string[] = []
  watch(theirs, faults)
  await enter(theirs, town, person, '/imports')
  await expect(theirs.getByRole('button', { name: '新的导入' })).toBeVisible()
  await expect(theirs.getByText('实时更新已连接')).toBeAttached()

  await enter(page, town, town.people.areas, `/users/${person.id}`)
  await page.getByRole('table', { name: '授权' }).getByRole('button', { name: '收回' }).click()
  await expect(page.getByRole('dialog', { name: '收回授权' })).toContainText('短工立即失去“云南中路居委会”的“主管”权限')
  await ok(page, '收回授权', '收回')
  await expect(page.getByText('授权已收回，立即生效').first()).toBeVisible()
  await expect(page.getByText('还没有任何授权')).toBeVisible()
  await expect(page.getByText('没有任何权限')).toBeVisible()

  await expect(theirs.getByText('您没有查看这个页面的权限')).toBeVisible()
  await expect(theirs.getByRole('navigation').getByRole('link', { name: '数据导入' })).toHaveCount(0)
  expect(faults).toEqual([])
  await theirs.context().close()
  await page.getByText('只看有效的').click()
  await expect(page.getByRole('table', { name: '授权' })).toContainText('已收回')
})

test('an account is locked by failures, unlocked, closed and opened again', async ({ page, town }) => {
  const person = await town.person('clumsy.fingers', '方糊涂', 'collector')
  const attempt = (password: string) =>
    fetch(`${town.url}/api/auth/sign-in`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ login: person.login, password }),
    })
  for (let tries = 0; tries < 5; tries++) await attempt('Wrong-Guess-1')
  expect((await attempt(person.password)).status).toBe(429)
  await enter(page, town, town.people.areas, '/users?text=clumsy')
  await expect(page.getByRole('table', { name: '用户' })).toContainText('已锁定')
  await page.getByRole('link', { name: '方糊涂' }).click()
  await expect(page.getByText('登录失败次数过多，锁定到')).toBeVisible()
  await page.getByRole('button', { name: '解除锁定' }).click()
  await expect(page.getByText('锁定已解除').first()).toBeVisible()
  expect((await attempt(person.password)).status).toBe(200)

  await page.getByRole('button', { name: '停用账号' }).click()
  await ok(page, '停用账号', '停用账号')
  await expect(page.getByRole('button', { name: '恢复账号' })).toBeVisible()
  expect((await attempt(person.password)).status).toBe(403)
  await page.getByRole('button', { name: '恢复账号' }).click()
  await expect(page.getByText('账号已恢复').first()).toBeVisible()

  await page.getByRole('button', { name: '重置密码' }).click()
  await ok(page, '重置密码', '重置密码')
  const fresh = await page.getByRole('dialog', { name: '密码已重置' }).getByLabel('临时密码').innerText()
  expect((await attempt(person.password)).status).toBe(401)
  expect((await attempt(fresh)).status).toBe(200)
})

test('who is not below is shown, with no action about them', async ({ page, town }) => {
  await enter(page, town, town.people.areas, `/users/${town.people.auditor.id}`)
  await expect(page.getByRole('heading', { name: '审计员' })).toBeVisible()
  await expect(page.getByText('这个用户的权限不低于您')).toBeVisible()
  for (const name of ['修改', '重置密码', '停用账号', '收回'])
    await expect(page.getByRole('button', { name, exact: true })).toHaveCount(0)
})

test('a device that is stopped syncs no more, and a wiped one is emptied', async ({ page, town }) => {
  await town.enrol('chen', '陈晨的旧手机')
  await enter(page, town, town.people.areas, `/devices?user=${town.people.chen.id}`)
  const table = page.getByRole('table', { name: '设备' })
  await expect(table.locator('tbody tr')).toHaveCount(1)
  await expect(table).toContainText('陈晨')
  await page.getByRole('link', { name: '陈晨的旧手机' }).click()
  await page.getByRole('button', { name: '停用', exact: true }).click()
  const stop = page.getByRole('dialog', { name: '停用设备' })
  await expect(stop).toContainText('密钥不再被接受')
  await stop.getByRole('button', { name: '停用' }).click()
  await expect(stop).toContainText('请填写原因')
  await stop.getByLabel('原因').fill('换新手机')
  await stop.getByRole('button', { name: '停用' }).click()
  await expect(page.getByText('设备已停用').first()).toBeVisible()
  await expect(page.getByText('换新手机')).toBeVisible()
  await expect(town.sync('chen')).rejects.toThrow()

  await page.getByRole('button', { name: '远程擦除' }).click()
  const wipe = page.getByRole('dialog', { name: '远程擦除设备' })
  await expect(wipe).toContainText('全部居民、房屋资料和照片会被清除')
  await wipe.getByLabel('原因', { exact: true }).fill('遗失')
  await wipe.getByLabel(/请输入设备名称/).fill('别的手机')
  await wipe.getByRole('button', { name: '远程擦除' }).click()
  await expect(wipe).toContainText('与设备名称不一致')
  await wipe.getByLabel(/请输入设备名称/).fill('陈晨的旧手机')
  await wipe.getByRole('button', { name: '远程擦除' }).click()
  await expect(page.getByText('等待设备联网后擦除')).toBeVisible()
})

test('a device is listed until it has purged what its user may no longer hold', async ({ page, town }) => {
  const { person } = await town.leaver('lu.yao', '路遥')
  await enter(page, town, town.people.areas, `/devices?user=${person.id}`)
  const table = page.getByRole('table', { name: '设备' })
  await expect(table).toContainText('路遥的手机')
  await page.getByText('只看待确认清除的').click()
  await expect(page.getByText('没有符合条件的设备')).toBeVisible()
  await town.moveAway(person)
  await page.reload()
  await table.getByRole('link', { name: '路遥的手机' }).click()
  await expect(page.getByText('还没有回报清除多余的资料')).toBeVisible()
  await town.sync(person)
  await expect
    .poll(async () => {
      await page.reload()
      return page.getByRole('region', { name: '设备情况' }).textContent()
    })
    .not.toContain('待确认清除')
})

test('a supervisor sees devices and stops none', async ({ page, town }) => {
  await enter(page, town, town.people.zhou, '/devices')
  await page.getByRole('link', { name: '李静的手机' }).click()
  await expect(page.getByRole('region', { name: '设备情况' })).toContainText('李静')
  await expect(page.getByRole('button', { name: '停用' })).toHaveCount(0)
  await expect(page.getByRole('button', { name: '远程擦除' })).toHaveCount(0)
})

test('the tree opens a level at a time, is searched, and says who works where', async ({ page, town }) => {
  await enter(page, town, town.people.zhou, '/areas')
  const people = page.getByRole('table', { name: '在这里工作的人' })
  await expect(people).toContainText('李静')
  await expect(people).toContainText('采集员')
  await page.getByRole('treeitem', { name: '上海市' }).waitFor()
  await page.getByLabel('按名称或代码查找').fill('云南中路')
  await expect(page.getByRole('button', { name: /云南中路居委会/ })).toBeVisible()
  await page.getByLabel('按名称或代码查找').fill('没有这个地方')
  await expect(page.getByText('没有找到这样的区划')).toBeVisible()
  await page.goto(`${town.url}/areas?area=${ELSEWHERE}`)
  await expect(page.getByText('不在您的管理范围内')).toBeVisible()
})

test('a new version of the tree is tried, put in force, and shown with what it changed', async ({ page, town }) => {
  const tree = (await town.ask(town.people.areas, 'GET', '/api/areas/tree')) as unknown as {
    code: string
    name: string
    level: string
    parent: string | null
  }[]
  const line = (area: (typeof tree)[number]) => {
    const name = area.code === COMMITTEE ? '云南中路社区居委会' : area.name
    return `${area.code},${name},${area.level},${area.parent ?? ''}`
  }
  const csv = `code,name,level,parent\n${tree.map(line).join('\n')}\n`
  await enter(page, town, town.people.areas, '/areas/versions')
  await page.getByRole('button', { name: '导入新版区划' }).click()
  const dialog = page.getByRole('dialog', { name: '导入新版区划' })
  const file = (content: string) => ({ name: '区划.csv', mimeType: 'text/csv', buffer: Buffer.from(content) })
  await dialog.getByLabel('区划表文件').setInputFiles(file('code,name\n1,2\n'))
  await dialog.getByRole('button', { name: '试算' }).click()
  await expect(dialog.getByRole('alert')).toBeVisible()
  await dialog.getByLabel('区划表文件').setInputFiles(file(csv))
  await dialog.getByLabel('变动说明').fill('居委会更名')
  await dialog.getByRole('button', { name: '试算' }).click()
  await expect(dialog.getByRole('status')).toContainText('更名 1 个')
  await dialog.getByRole('button', { name: '生效' }).click()
  await page.getByRole('dialog').last().getByRole('button', { name: '生效' }).click()
  await expect(page.getByText('第 2 版区划已生效').first()).toBeVisible()
  const versions = page.getByRole('table', { name: '区划的历次变动' })
  await expect(versions.locator('tbody tr').first()).toContainText('居委会更名')
  await versions.getByRole('link', { name: '第 2 版' }).click()
  const change = page.getByRole('table').locator('tbody tr')
  await expect(change).toHaveCount(1)
  await expect(change).toContainText('云南中路居委会')
  await expect(change).toContainText('云南中路社区居委会')
  // Back as it was, for the tests after.
  const back = csv.replace('云南中路社区居委会', '云南中路居委会')
  await town.ask(town.people.areas, 'POST', '/api/areas/import', back)
})

test('each role sees its own entries of the menu, and no page behind the others', async ({ page, town }) => {
  const ADMINISTRATION = {
    数据导入: '/imports',
    区划: '/areas',
    用户与授权: '/users',
    设备: '/devices',
    审计日志: '/audit',
    系统状态: '/system',
  }
  type Entry = keyof typeof ADMINISTRATION
  const seen: [keyof typeof town.people, Entry[]][] = [
    ['zhou', ['数据导入', '区划', '用户与授权', '设备']],
    ['areas', ['数据导入', '区划', '用户与授权', '设备', '系统状态']],
    ['security', ['区划', '用户与授权', '设备', '系统状态']],
    ['auditor', ['用户与授权', '审计日志']],
    ['chen', []],
  ]
  for (const [who, entries] of seen) {
    await page.goto(`${town.url}/sign-in`)
    await page.evaluate(() => sessionStorage.clear())
    await enter(page, town, town.people[who])
    const menu = page.getByRole('navigation', { name: '主菜单' })
    for (const [label, path] of Object.entries(ADMINISTRATION)) {
      const shown = entries.includes(label as Entry)
      await expect(menu.getByRole('link', { name: label }), `${who}: ${label}`).toHaveCount(shown ? 1 : 0)
      if (shown) continue
      await page.goto(town.url + path)
      await expect(page.getByText('您没有查看这个页面的权限'), `${who}: ${path}`).toBeVisible()
    }
  }
})
