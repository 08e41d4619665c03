// The screens that are pictured and checked for access: name, address, whose. A new screen adds its lines here.
import type { Page } from '@playwright/test'
import { VILLAGE, estate, household, register } from './estate'
import { administration } from './places-administration'
import { doors } from './places-doors'
import { COMMITTEE, type Town } from './town'

export interface Place {
  /** The picture's file name. */
  name: string
  /** Who looks; nobody: the sign-in. */
  who?: keyof Town['people']
  /** The address, made when the town stands. */
  path: (town: Town) => string | Promise<string>
  /** Which page that is, as the screens declare it, where the address alone doesn't tell before the town stands. */
  route?: string
  /** What is done before the picture is taken, until it is all there. */
  ready: (page: Page) => Promise<unknown>
}

/** The id of nothing. */
const NOBODY = '01890000-0000-7000-8000-000000000001'

export const places: Place[] = [
  ...doors,
  {
    name: 'desk',
    route: '/',
    who: 'zhou',
    path: async town => {
      await town.dispute(['姓名=乔安', '姓名=乔岸'])
      return '/'
    },
    ready: page => page.locator('canvas').waitFor(),
  },
  {
    name: 'account',
    who: 'zhou',
    path: () => '/account',
    ready: page => page.getByText('网页控制台').first().waitFor(),
  },
  {
    name: 'conflict',
    route: '/conflicts/:id',
    who: 'zhou',
    path: async town => `/conflicts/${await town.disputeName('诗', '丝')}`,
    ready: page => page.locator('.card').nth(1).waitFor(),
  },
  {
    name: 'conflict-decision',
    route: '/conflicts/:id',
    who: 'zhou',
    path: async town => `/conflicts/${await town.disputeName('敏', '旻')}`,
    ready: async page => {
      await page.locator('.card').nth(1).waitFor()
      await page.keyboard.press('2')
      await page.getByText('将通知').waitFor()
    },
  },
  {
    name: 'conflict-duplicate',
    route: '/conflicts/:id',
    who: 'zhou',
    path: async town => `/conflicts/${await town.conflictOf((await town.twins('邵雨桐'))[0])}`,
    ready: page => page.getByText('留下的档案').first().waitFor(),
  },
  {
    name: 'conflict-evidence',
    route: '/conflicts/:id',
    who: 'zhou',
    path: async town => {
      const resident = town.resident()
      await town.device('li', 'photo', 'add', resident.id, town.photo(4), '--field', 'portrait')
      await town.device(
        'li',
        'visit',
        '--resident',
        resident.id,
        '--photo',
        town.photo(5),
        '走访记录=本人在家，已核对证件',
      )
      await town.sync('li', 'wang')
      return `/conflicts/${(await town.dispute(['姓名=纪晓岚', '姓名=纪小岚'], resident)).conflict}`
    },
    ready: page => page.locator('article img').first().waitFor(),
  },
  {
    name: 'conflict-claim',
    route: '/conflicts/:id',
    who: 'zhou',
    path: async town => {
      const { people } = await household(town, town.people.zhou, COMMITTEE)
      const { house } = await household(town, town.people.zhou, COMMITTEE)
      const resident = people[1] ?? ''
      const tie = { resident, house, kind: 'living' }
      const residence = await register(town, town.people.zhou, 'residences', tie, COMMITTEE)
      await town.ask(town.people.zhou, 'POST', `/api/residents/${resident}/main-residence`, { residence })
      return `/conflicts/${await town.conflictOf(resident)}`
    },
    ready: page => page.getByText('认领的居住地').waitFor(),
  },
  {
    name: 'conflict-split',
    route: '/conflicts/:id',
    who: 'zhou',
    path: async town => {
      const { people } = await household(town, town.people.zhou, COMMITTEE)
      const id = people[0] ?? ''
      await town.sync('li', 'wang')
      await town.device('li', 'set', id, '姓名=乔安民')
      await town.device('wang', 'set', id, '姓名=乔岸民')
      await town.device('li', 'set', id, '姓名=乔安明')
      await town.sync('li', 'wang')
      return `/conflicts/${await town.conflictOf(id)}`
    },
    ready: async page => {
      await page.locator('.card').nth(1).waitFor()
      await page.keyboard.press('s')
      await page.getByText('随新居民转走的居住关系').waitFor()
      await page.locator('.lines .el-checkbox').first().waitFor()
    },
  },
  {
    name: 'conflict-refused',
    route: '/conflicts/:id',
    who: 'zhou',
    path: async town => {
      const resident = town.resident()
      const { person, leave } = await town.leaver(`leaver.${Date.now()}`, '秦越')
      await town.device(person, 'set', resident.id, '手机号码=13917030001')
      await town.device(person, 'set', resident.id, '工作单位=安康里文具店')
      await leave()
      return `/conflicts/${await town.conflictOf(resident.id)}`
    },
    ready: page => page.getByRole('list', { name: '被拒的更改' }).getByRole('listitem').nth(1).waitFor(),
  },
  {
    name: 'conflict-cancelled',
    route: '/conflicts/:id',
    who: 'zhou',
    path: async town => {
      const resident = town.resident()
      await town.device('wang', 'set', resident.id, 'status=cancelled', 'cancel_reason=3', 'cancelled_on=2026-11-20')
      await town.device('li', 'set', resident.id, '手机号码=13917020006')
      await town.sync('wang', 'li')
      return `/conflicts/${await town.conflictOf(resident.id)}`
    },
    ready: page => page.getByText('请判断档案应当注销还是保留').waitFor(),
  },
  {
    name: 'conflict-gone',
    route: '/conflicts/:id',
    who: 'zhou',
    path: () => `/conflicts/${NOBODY}`,
    ready: page => page.getByRole('alert').waitFor(),
  },
  {
    name: 'conflict-rule',
    route: '/conflicts/rule',
    who: 'zhou',
    path: async town => {
      await town.dispute(['户籍地址=顺昌东路920弄7号', '户籍地址=顺昌东路902弄7号'])
      return '/conflicts/rule?field=register_address&rule=newest'
    },
    ready: async page => {
      await page.getByRole('button', { name: '预览' }).click()
      await page.getByText(/项将被裁决/).waitFor()
    },
  },
  {
    name: 'shortcuts',
    who: 'zhou',
    path: () => '/conflicts',
    ready: async page => {
      await page.getByRole('region', { name: '事项列表' }).getByRole('link').first().waitFor()
      await page.keyboard.press('?')
      await page.getByRole('dialog', { name: '快捷键' }).waitFor()
    },
  },
  {
    name: 'people',
    who: 'zhou',
    path: () => '/people',
    ready: page => page.getByRole('table', { name: '人员' }).getByRole('row').nth(5).waitFor(),
  },
  {
    name: 'person',
    route: '/people/:id',
    who: 'zhou',
    path: async town => `/people/${(await household(town, town.people.zhou, COMMITTEE)).people[0] ?? ''}`,
    ready: page => page.getByText('同住与同户').waitFor(),
  },
  {
    name: 'person-edit',
    route: '/people/:id',
    who: 'zhou',
    path: async town => `/people/${(await household(town, town.people.zhou, COMMITTEE)).people[1] ?? ''}`,
    ready: async page => {
      await page.getByRole('button', { name: '编辑' }).click()
      await page.getByRole('form', { name: '编辑档案' }).waitFor()
    },
  },
  {
    name: 'person-history',
    route: '/people/:id',
    who: 'zhou',
    path: async town => `/people/${(await town.dispute(['姓名=方知远', '姓名=方知源'])).resident.id}?tab=history`,
    ready: page => page.locator('.line li').nth(2).waitFor(),
  },
  {
    name: 'house',
    route: '/houses/:id',
    who: 'zhou',
    path: async town => `/houses/${(await household(town, town.people.zhou, COMMITTEE)).house}`,
    ready: page => page.getByText('人户一致').first().waitFor(),
  },
  {
    name: 'buildings',
    route: '/buildings',
    who: 'he',
    path: async town => {
      await estate(town)
      return `/buildings?by=use&area=${VILLAGE}`
    },
    ready: page => page.getByRole('gridcell').nth(20).waitFor(),
  },
  {
    name: 'buildings-room',
    route: '/buildings',
    who: 'zhou',
    path: async town => {
      const { house } = await household(town, town.people.zhou, COMMITTEE)
      return `/buildings?area=${COMMITTEE}&room=${house}`
    },
    ready: page => page.getByRole('dialog').getByText('人户一致').waitFor(),
  },
  {
    name: 'houses',
    who: 'zhou',
    path: () => '/houses',
    ready: page => page.getByRole('table', { name: '房屋' }).getByRole('row').nth(5).waitFor(),
  },
  {
    name: 'ledgers',
    who: 'zhou',
    path: () => '/ledgers',
    ready: page => page.locator('canvas').waitFor(),
  },
  {
    name: 'ledger-addresses',
    who: 'zhou',
    path: () => '/ledgers?tab=addresses',
    ready: page => page.getByRole('tab', { name: '住址变动', selected: true }).waitFor(),
  },
  {
    name: 'ledger-former',
    who: 'zhou',
    path: () => '/ledgers?tab=former',
    ready: page => page.getByRole('tab', { name: '历史居民', selected: true }).waitFor(),
  },
  {
    name: 'ledger-register',
    route: '/ledgers',
    who: 'zhou',
    path: async town => {
      await household(town, town.people.zhou, COMMITTEE)
      return '/ledgers?tab=register'
    },
    ready: page => page.getByRole('table', { name: '户籍人员' }).getByRole('row').nth(1).waitFor(),
  },
  {
    name: 'record-gone',
    route: '/records/:id',
    who: 'zhou',
    path: () => `/records/${NOBODY}`,
    ready: page => page.getByRole('alert').waitFor(),
  },
  {
    name: 'check-gone',
    route: '/checks/:id',
    who: 'zhou',
    path: () => `/checks/${NOBODY}`,
    ready: page => page.getByRole('alert').waitFor(),
  },
  ...administration,
]
