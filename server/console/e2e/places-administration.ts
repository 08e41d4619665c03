// The screens of imports and administration that are pictured and checked for access.
import type { Page } from '@playwright/test'
import type { Place } from './places'
import { COMMITTEE, type Town } from './town'

const HEADS = '姓名,性别,出生日期,手机号码,居住地址,居村委编码,人员类别'

/** A file with good rows, changed and wrong ones, judged. */
async function judged(town: Town): Promise<string> {
  const rows = [
    `向晚晴,女,1983-05-06,13800138001,凤阳中路88弄3号502室,${COMMITTEE},来沪`,
    `,男,1990-13-01,,凤阳中路88弄3号503室,${COMMITTEE},来沪`,
    `庄小鱼,男,1978-11-20,138,凤阳中路88弄4号101室,${COMMITTEE},来沪`,
    `庄小鱼,男,1978-11-20,138,凤阳中路88弄4号101室,${COMMITTEE},来沪`,
    `成千里,男,1955-01-09,,龙华路1号,310104003001,来沪`,
  ]
  const query = new URLSearchParams({ type: 'resident', area: COMMITTEE, name: '十一月台账.csv', then: 'check' })
  const body = `${HEADS}\n${rows.join('\n')}\n`
  const made = await town.ask(town.people.zhou, 'POST', `/api/imports?${query.toString()}`, body)
  const path = `/imports/${String(made['id'])}`
  await town.until(async () => (await town.ask(town.people.zhou, 'GET', `/api${path}`))['status'] === 'checked')
  return path
}

async function mapped(town: Town): Promise<string> {
  const query = new URLSearchParams({ type: 'resident', area: COMMITTEE, name: '物业名册.csv' })
  const row = `向晚晴,女,1983-05-06,,凤阳中路88弄3号502室,${COMMITTEE},来沪,B12`
  const body = `${HEADS.replace('姓名', '住户')},车位\n${row}\n`
  const made = await town.ask(town.people.zhou, 'POST', `/api/imports?${query.toString()}`, body)
  return `/imports/${String(made['id'])}`
}

/** A file that was brought in, and what its import has come to. */
async function brought(town: Town, name: string, undone = false): Promise<string> {
  const query = new URLSearchParams({ type: 'resident', area: COMMITTEE, name, then: 'check' })
  const line = `向晚${undone ? '枫' : '霞'},女,1983-05-06,,凤阳中路88弄${undone ? 5 : 6}号502室,${COMMITTEE},来沪`
  const { zhou } = town.people
  const made = await town.ask(zhou, 'POST', `/api/imports?${query.toString()}`, `${HEADS}\n${line}\n`)
  const path = `/imports/${String(made['id'])}`
  const reaches = (status: string) =>
    town.until(async () => (await town.ask(zhou, 'GET', `/api${path}`))['status'] === status)
  await reaches('checked')
  await town.ask(zhou, 'POST', `/api${path}/run`, {})
  await reaches('done')
  if (undone) {
    await town.ask(zhou, 'POST', `/api${path}/undo`, {})
    await reaches('undone')
  }
  return path
}

const row = (page: Page, table: string) => page.getByRole('table', { name: table }).locator('tbody tr').first()

export const administration: Place[] = [
  { name: 'imports', who: 'zhou', path: () => '/imports', ready: page => row(page, '历次导入').waitFor() },
  {
    name: 'import-new',
    who: 'zhou',
    path: () => '/imports/new',
    ready: page => page.getByRole('button', { name: '上传并查看' }).waitFor(),
  },
  {
    name: 'import-columns',
    route: '/imports/:id',
    who: 'zhou',
    path: mapped,
    ready: page => page.getByText('缺少“姓名”一列').waitFor(),
  },
  {
    name: 'import-checked',
    route: '/imports/:id',
    who: 'zhou',
    path: judged,
    ready: page => row(page, '逐行结果').waitFor(),
  },
  {
    name: 'import-done',
    route: '/imports/:id',
    who: 'zhou',
    path: town => brought(town, '十二月台账.csv'),
    ready: page => page.getByRole('heading', { name: /导入完成/ }).waitFor(),
  },
  {
    name: 'import-undone',
    route: '/imports/:id',
    who: 'zhou',
    path: town => brought(town, '误传的台账.csv', true),
    ready: page => page.getByRole('heading', { name: /导入已撤销/ }).waitFor(),
  },
  {
    name: 'import-failed',
    route: '/imports/:id',
    who: 'zhou',
    path: town => brought(town, '中断的台账.csv'),
    ready: async page => {
      // No file breaks a server that is sound: its answer is what a broken one's would be.
      await page.route(/\/api\/imports\/[0-9a-f-]{36}$/, async route => {
        const answer = await route.fetch()
        await route.fulfill({
          response: answer,
          json: { ...(await answer.json()), status: 'failed', failure: 'internal' },
        })
      })
      await page.reload()
      await page.getByRole('heading', { name: /导入中断/ }).waitFor()
    },
  },
  {
    name: 'areas',
    who: 'areas',
    path: () => `/areas?area=${COMMITTEE}`,
    ready: async page => {
      await row(page, '在这里工作的人').waitFor()
      await page.getByRole('treeitem', { name: /云南中路/ }).waitFor()
    },
  },
  {
    name: 'area-versions',
    who: 'areas',
    path: () => '/areas/versions',
    ready: page => row(page, '区划的历次变动').waitFor(),
  },
  {
    name: 'area-version-new',
    who: 'areas',
    path: () => '/areas/versions',
    ready: async page => {
      await row(page, '区划的历次变动').waitFor()
      await page.getByRole('button', { name: '导入新版区划' }).click()
      await page.getByRole('dialog', { name: '导入新版区划' }).waitFor()
    },
  },
  {
    name: 'area-changes',
    route: '/areas/versions/:version',
    who: 'areas',
    path: () => '/areas/versions/1',
    ready: page => page.getByRole('table').locator('tbody tr').first().waitFor(),
  },
  { name: 'users', who: 'areas', path: () => '/users', ready: page => row(page, '用户').waitFor() },
  {
    name: 'user-new',
    who: 'areas',
    path: () => '/users',
    ready: async page => {
      await row(page, '用户').waitFor()
      await page.keyboard.press('n')
      await page.getByRole('dialog', { name: '新建用户' }).waitFor()
    },
  },
  {
    name: 'user',
    route: '/users/:id',
    who: 'areas',
    path: town => `/users/${town.people.zhou.id}`,
    ready: async page => {
      await row(page, '授权').waitFor()
      await row(page, '为什么可以').waitFor()
    },
  },
  { name: 'devices', who: 'areas', path: () => '/devices', ready: page => row(page, '设备').waitFor() },
  {
    name: 'device-wipe',
    route: '/devices/:id',
    who: 'areas',
    path: async town => {
      const list = await town.ask(town.people.areas, 'GET', `/api/devices?user=${town.people.wang.id}`)
      return `/devices/${(list['items'] as { id: string }[])[0]?.id ?? ''}`
    },
    ready: async page => {
      await page.getByRole('button', { name: '远程擦除' }).click()
      await page.getByRole('dialog', { name: '远程擦除设备' }).waitFor()
    },
  },
  {
    name: 'alarms',
    who: 'security',
    route: '/alarms',
    path: async town => {
      await town.alarm('gu.yue', '顾月')
      return '/alarms'
    },
    ready: page => row(page, '安全告警').waitFor(),
  },
  {
    name: 'audit',
    who: 'auditor',
    path: () => '/audit',
    ready: async page => {
      await row(page, '审计记录').waitFor()
      await page.getByRole('button', { name: '核验日志' }).click()
      await page.getByText('日志完整').waitFor()
    },
  },
  {
    name: 'audit-entry',
    route: '/audit',
    who: 'auditor',
    path: town => `/audit?subject=${town.people.zhou.id}&action=grant_role`,
    ready: async page => {
      await row(page, '审计记录').click()
      await page.getByRole('dialog').waitFor()
    },
  },
  {
    name: 'system',
    who: 'security',
    path: () => '/system',
    ready: page => page.getByText('运行正常').waitFor(),
  },
]
