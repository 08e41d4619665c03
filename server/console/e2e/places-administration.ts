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

const row = (page: Page, table: string) => page.getByRole('table', { name: table }).locator('tbody tr').first()

export const administration: Place[] = [
  { name: 'imports', who: 'zhou', path: () => '/imports', ready: page => row(page, '历次导入').waitFor() },
  {
    name: 'import-new',
    who: 'zhou',
    path: () => '/imports/new',
    ready: page => page.getByRole('button', { name: '上传并查看' }).waitFor(),
  },
  { name: 'import-columns', who: 'zhou', path: mapped, ready: page => page.getByText('缺少“姓名”一列').waitFor() },
  { name: 'import-checked', who: 'zhou', path: judged, ready: page => row(page, '逐行结果').waitFor() },
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
    name: 'area-changes',
    who: 'areas',
    path: () => '/areas/versions/1',
    ready: page => page.getByRole('table').locator('tbody tr').first().waitFor(),
  },
  { name: 'users', who: 'areas', path: () => '/users', ready: page => row(page, '用户').waitFor() },
  {
    name: 'user',
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
