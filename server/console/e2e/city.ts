// A district of many residents, for measuring: files made by rule, brought in as a person brings them in. Kept in a
// folder, so that it is built once. Everyone in it is invented.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { HOUSES, VILLAGE } from './estate'
import { COMMITTEE, Town, checked } from './town'

export const DISTRICT = '310101000000'
const areas = fileURLToPath(new URL('../../../tests/fixtures/shanghai-areas.csv', import.meta.url))

const SURNAMES = [...'赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜戚谢邹喻柏水窦章云苏潘葛奚范彭郎']
const GIVEN = [...'安邦晨楚丹恩帆岗海佳凯兰敏宁培琪然思涛薇欣妍泽舟彬岚洁明清荣书彤文雪颖振子若雨梦秋']
const USES = ['自用', '自用', '自用', '出租', '空置']
const PEOPLE_A_HOUSE = 2.5
const ROOMS_A_FLOOR = 4
const FLOORS = 18

/** The villages that it fills: the first committees of the district. */
function villages(): string[] {
  const lines = readFileSync(areas, 'utf8').split('\n')
  const own = lines.filter(line => line.startsWith(DISTRICT.slice(0, 6)) && line.includes(',village,'))
  return own.map(line => line.slice(0, 12)).slice(0, 25)
}

interface Place {
  village: string
  address: string
}

function places(residents: number): Place[] {
  const all = villages()
  const wanted = Math.ceil(residents / PEOPLE_A_HOUSE / all.length)
  return all.flatMap((village, lane) => {
    // The building view's village is as large as the requirement says.
    const houses = village === VILLAGE ? HOUSES : wanted
    return Array.from({ length: houses }, (_, at): Place => {
      const building = Math.floor(at / (ROOMS_A_FLOOR * FLOORS)) + 1
      const floor = (Math.floor(at / ROOMS_A_FLOOR) % FLOORS) + 1
      return { village, address: `长乐路${100 + lane}弄${building}号${floor}0${(at % ROOMS_A_FLOOR) + 1}室` }
    })
  })
}

function houses(places: Place[]): string {
  const rows = places.map(({ village, address }, at) => {
    const verified = at % 3 === 0 ? '2026-11-02' : at % 3 === 1 ? '2025-03-18' : ''
    return `M${at},${address},长乐新苑,${village},${USES[at % USES.length] ?? ''},${50 + (at % 90)},${verified}`
  })
  return `社区房屋编号,居住地址,小区名称,居村委编码,房屋用途,面积,最近核实日期\n${rows.join('\n')}\n`
}

function people(count: number, places: Place[]): string {
  const rows = Array.from({ length: count }, (_, at) => {
    const { village, address } = places[Math.floor((at * places.length) / count)] ?? { village: COMMITTEE, address: '' }
    const given = (GIVEN[(at * 7) % GIVEN.length] ?? '') + (GIVEN[(at * 13 + Math.floor(at / 41)) % GIVEN.length] ?? '')
    const name = `${SURNAMES[at % SURNAMES.length] ?? ''}${given}`
    const day = new Date(Date.UTC(1940, 0, 1 + ((Math.floor(at / 1000) * 137) % 25_000))).toISOString().slice(0, 10)
    const number = checked(`310101${day.replaceAll('-', '')}${String(at % 1000).padStart(3, '0')}`)
    const sex = Math.floor((at % 1000) % 2) === 1 ? '男' : '女'
    const phone = `139${String(at).padStart(8, '0')}`
    return `Q${at},${name},居民身份证,${number},${sex},${day},${phone},${address},${village},${at % 3 === 0 ? '来沪' : '人户一致'}`
  })
  return `社区人员编号,姓名,证件种类,证件号码,性别,出生日期,手机号码,居住地址,居村委编码,人员类别\n${rows.join('\n')}\n`
}

/** The town of `folder`, built when it isn't there: `count` residents, and `disputes` items in the queue. */
export async function city(folder: string, count: number, disputes: number): Promise<Town> {
  const held = await Town.reopen(folder)
  if (held) return held
  const town = await Town.empty(folder)
  const { areas, he } = town.people
  await town.ask(areas, 'POST', `/api/users/${he.id}/grants`, { role: 'supervisor', area: DISTRICT })
  const all = places(count)
  for (const [type, csv] of [
    ['house', houses(all)],
    ['resident', people(count, all)],
  ] as const) {
    const from = Date.now()
    let last = 0
    await town.bring(he, type, DISTRICT, csv, (status, percent) => {
      if (Date.now() - last < 10_000) return
      last = Date.now()
      console.log(`${type}: ${status}, ${percent} % of this step, ${Math.round((last - from) / 1000)} s`)
    })
    console.log(`${type}: brought in within ${Math.round((Date.now() - from) / 1000)} s`)
  }
  await town.enrol('li', '李静的手机')
  await town.enrol('wang', '王强的手机')
  const residents = (await town.device('li', 'list', 'resident', '--limit', String(disputes))) as { id: string }[]
  for (const [at, { id }] of residents.entries()) {
    await town.device('li', 'set', id, `姓名=顾一${GIVEN[at % GIVEN.length] ?? ''}`)
    await town.device('wang', 'set', id, `姓名=顾亦${GIVEN[at % GIVEN.length] ?? ''}`)
  }
  await town.sync('li', 'wang')
  town.save()
  return town
}
