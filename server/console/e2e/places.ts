// The screens that are pictured and checked for access: name, address, whose. A new screen adds its lines here.
import type { Page } from '@playwright/test'
import { VILLAGE, estate, household, register } from './estate'
import { administration } from './places-administration'
import { COMMITTEE, type Town } from './town'

export interface Place {
  /** The picture's file name. */
  name: string
  /** Who looks; nobody: the sign-in. */
  who?: keyof Town['people']
  /** The address, made when the town stands. */
  path: (town: Town) => string | Promise<string>
  /** What is done before the picture is taken, until it is all there. */
  ready: (page: Page) => Promise<unknown>
}

export const places: Place[] = [
  { name: 'sign-in', path: () => '/sign-in', ready: page => page.getByLabel('登录名').waitFor() },
  {
    name: 'desk',
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
    who: 'zhou',
    path: async town => `/conflicts/${await town.disputeName('诗', '丝')}`,
    ready: page => page.locator('.card').nth(1).waitFor(),
  },
  {
    name: 'conflict-decision',
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
    who: 'zhou',
    path: async town => `/conflicts/${await town.conflictOf((await town.twins('邵雨桐'))[0])}`,
    ready: page => page.getByText('留下的档案').first().waitFor(),
  },
  {
    name: 'conflict-evidence',
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
    name: 'conflict-rule',
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
    who: 'zhou',
    path: async town => `/people/${(await household(town, town.people.zhou, COMMITTEE)).people[0] ?? ''}`,
    ready: page => page.getByText('同住与同户').waitFor(),
  },
  {
    name: 'person-edit',
    who: 'zhou',
    path: async town => `/people/${(await household(town, town.people.zhou, COMMITTEE)).people[1] ?? ''}`,
    ready: async page => {
      await page.getByRole('button', { name: '编辑' }).click()
      await page.getByRole('form', { name: '编辑档案' }).waitFor()
    },
  },
  {
    name: 'person-history',
    who: 'zhou',
    path: async town => `/people/${(await town.dispute(['姓名=方知远', '姓名=方知源'])).resident.id}?tab=history`,
    ready: page => page.locator('.line li').nth(2).waitFor(),
  },
  {
    name: 'house',
    who: 'zhou',
    path: async town => `/houses/${(await household(town, town.people.zhou, COMMITTEE)).house}`,
    ready: page => page.getByText('人户一致').first().waitFor(),
  },
  {
    name: 'buildings',
    who: 'he',
    path: async town => {
      await estate(town)
      return `/buildings?by=use&area=${VILLAGE}`
    },
    ready: page => page.getByRole('gridcell').nth(20).waitFor(),
  },
  {
    name: 'buildings-room',
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
  ...administration,
]
