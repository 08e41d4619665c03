// An estate of 1,400 houses in a village of its own, for the view of buildings: twenty buildings of eighteen floors and
// less, in every use, some verified, some not; and what the tests of the register need besides. Everyone is invented.
import { COMMITTEE, type Person, type Town } from './town'

/** 龙泉园路居委会, another village of the town's street. */
export const VILLAGE = '310101002002'
export const HOUSES = 1400
export const ESTATE = '长乐新苑'

const USES = ['自用', '自用', '自用', '自用', '出租', '出租', '空置', '合用', '单位', '群租']
const BUILDINGS = 20
const ROOMS = 4

function csv(): string {
  const rows = ['社区房屋编号,居住地址,小区名称,居村委编码,房屋用途,面积,最近核实日期']
  for (let at = 0; at < HOUSES; at++) {
    const building = (at % BUILDINGS) + 1
    const place = Math.floor(at / BUILDINGS)
    const floor = Math.floor(place / ROOMS) + 1
    const room = `${floor}0${(place % ROOMS) + 1}`
    const verified = at % 3 === 0 ? '2026-11-02' : at % 3 === 1 ? '2025-03-18' : ''
    const address = `长乐新路88弄${building}号${room}室`
    rows.push(
      [`E${at}`, address, ESTATE, VILLAGE, USES[(at * 7 + place) % USES.length], 60 + (at % 50), verified].join(','),
    )
  }
  return rows.join('\n') + '\n'
}

const built = new WeakMap<Town, Promise<void>>()

/** Builds it, once for a town; 何平 is its supervisor as well. */
export function estate(town: Town): Promise<void> {
  const held = built.get(town) ?? build(town)
  built.set(town, held)
  return held
}

async function build(town: Town): Promise<void> {
  const { he, areas } = town.people
  await town.ask(areas, 'POST', `/api/users/${he.id}/grants`, { role: 'supervisor', area: VILLAGE })
  await town.bring(he, 'house', VILLAGE, csv())
}

/** Registers something through the API; gives its id. */
export async function register(
  town: Town,
  by: Person,
  kind: 'residents' | 'houses' | 'residences',
  fields: Record<string, unknown>,
  area: string,
): Promise<string> {
  const made = await town.ask(by, 'POST', `/api/${kind}`, { area, fields })
  return String((made['record'] as Record<string, unknown>)['id'])
}

/** A resident of 云南中路; gives the id. */
export function person(town: Town, name: string, more: Record<string, unknown> = {}): Promise<string> {
  const fields = { name, sex: '2', birth_date: '1975-06-01', population_kind: '02', ...more }
  return register(town, town.people.zhou, 'residents', fields, COMMITTEE)
}

/** A household with a room of its own: two who live there, one of them registered there; gives their ids. */
export async function household(town: Town, by: Person, area: string): Promise<{ house: string; people: string[] }> {
  const place = ++households
  const fields = {
    address: `安康路12弄${place}号302室`,
    estate_name: '安康里',
    house_use: '1',
    floor_area_m2: '78.5',
    owner_name: '乔安民',
    owner_phone: '13900010002',
  }
  const house = await register(town, by, 'houses', fields, area)
  const people: string[] = []
  for (const [name, sex, relation, kinds] of [
    ['乔安民', '1', '02', ['register', 'living']],
    ['夏知秋', '2', '10', ['living']],
  ] as const) {
    const resident = await register(
      town,
      by,
      'residents',
      {
        name,
        sex,
        birth_date: '1968-05-17',
        population_kind: '01',
        phone: '13900010002',
        relation_to_head: relation,
        household_number: `3101010${place}`,
        'tags/volunteer': true,
        workplace: '安康里居民活动室',
      },
      area,
    )
    for (const kind of kinds) {
      const main = kind === 'living'
      await register(town, by, 'residences', { resident, house, kind, main, from: '2012-09-01' }, area)
    }
    people.push(resident)
  }
  return { house, people }
}
let households = 0
