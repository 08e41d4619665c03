// The work that every system in a bench is given: invented residents and houses, and what devices edit offline.
// The same seed gives the same work. As a command it writes the work to a file, which every side then reads:
//   node bench/workload.mjs FILE [--small]
// {"records":[{"id","type","area","fields":{…}}…],"edits":[[{"record":index,"field","value"}…] for each device]}
import { writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

export const FULL = { residents: 3000, houses: 1000, devices: 10, edits: 500 }
export const SMALL = { residents: 300, houses: 100, devices: 3, edits: 40 }

/** Mulberry32: small, seeded, good enough to invent people with. */
function chance(seed) {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  const below = n => Math.floor(next() * n)
  return { below, pick: list => list[below(list.length)], often: share => next() < share }
}

const SURNAMES = [...'王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾']
const GIVEN = [...'伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂文辉玲华红建国志鹏飞']
const ROADS = ['云南中路', '延安东路', '瑞金南路', '茂名南路', '陕西北路', '思南路', '皋兰路', '济南路']
const WORKPLACES = ['申通地铁集团有限公司', '某物业管理服务有限公司', '社区卫生服务中心', '个体工商户', '第三中学']
const OCCUPATIONS = ['教师', '工人', '退休人员', '自由职业', '学生', '护士', '司机']
const TAGS = ['elderly', 'elderly_alone', 'disabled', 'veteran', 'chronic_illness', 'volunteer', 'party_member']
const REMARKS = ['常住，户在人在，已核对身份证件。', '租客，合同到期日待核实，需下次入户补登联系电话。', '人户分离，现居住于外区亲属处，由家属代为登记。', '独居老人，需定期上门走访关注。']
const AREA = '310101002001'
const DIVISION = '310101'
const WEIGHTS = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]

const two = n => String(n).padStart(2, '0')
const withCheckDigit = digits => digits + '10X98765432'[WEIGHTS.reduce((sum, w, i) => sum + w * Number(digits[i]), 0) % 11]
const person = c => c.pick(SURNAMES) + c.pick(GIVEN) + c.pick(GIVEN)
const phone = c => `13${c.below(10)}${String(c.below(1e8)).padStart(8, '0')}`
const place = c => `上海市黄浦区${c.pick(ROADS)}${1 + c.below(900)}弄${1 + c.below(60)}号${1 + c.below(18)}0${1 + c.below(5)}室`
const date = (c, from, years) => `${from + c.below(years)}-${two(1 + c.below(12))}-${two(1 + c.below(28))}`

// Field names, codes and keys ("tags/…" for one element of a set) are those of the declarations in core/src/records.
// Two residents of one number would be found as one person twice, which is no dispute of the edits.
function resident(c, index, numbers) {
  const sex = c.pick(['1', '2'])
  let birth, number
  do {
    birth = date(c, 1940, 66)
    const order = String(c.below(500) * 2 + (sex === '1' ? 1 : 0)).padStart(3, '0')
    number = withCheckDigit('310103' + birth.replaceAll('-', '') + order)
  } while (numbers.has(number))
  numbers.add(number)
  const fields = {
    name: person(c), certificate_kind: '111', id_number: number, sex,
    birth_date: birth, nationality: '01', population_kind: c.pick(['01', '02']), register_address: place(c), register_division: DIVISION,
    household_number: `${DIVISION}${String(c.below(1e6)).padStart(6, '0')}`, relation_to_head: c.pick(['02', '10', '20', '30', '99']),
    registered_on: date(c, 2010, 15), stay_reason: c.pick(['01', '04', '05', '09']), arrived_on: date(c, 2006, 18), phone: phone(c),
    second_phone: phone(c), marital_status: c.pick(['10', '20', '30', '40']), education: c.pick(['20', '30', '40', '60']),
    political_status: c.pick(['13', '01', '03']), workplace: c.pick(WORKPLACES), occupation: c.pick(OCCUPATIONS), country: 'CHN',
    last_verified: date(c, 2025, 1), status: 'active', community_id: `C${String(index).padStart(10, '0')}`,
    source_updated_at: Date.UTC(2025, 10, 20, c.below(24)), remark: Array.from({ length: 4 }, () => c.pick(REMARKS)).join(''),
  }
  if (c.often(0.1)) fields.former_name = person(c)
  if (c.often(0.15)) {
    Object.assign(fields, { away: true, away_place: '江苏省苏州市亲属家中', away_reason: c.pick(['03', '04', '08']), away_from: date(c, 2025, 1), away_expected_return: date(c, 2027, 1) })
  }
  for (let k = c.below(4); k > 0; k--) fields[`tags/${c.pick(TAGS)}`] = true
  for (let k = 1 + c.below(2); k > 0; k--) {
    fields[`linked_persons/${k}`] = JSON.stringify({ name: person(c), relation: c.pick(['10', '20', '30']), phone: phone(c) })
  }
  return { id: `r${String(index).padStart(5, '0')}`, type: 'resident', area: AREA, fields }
}

function house(c, index) {
  return {
    id: `h${String(index).padStart(5, '0')}`,
    type: 'house',
    area: AREA,
    fields: {
      address: place(c), area_code: AREA, house_use: c.pick(['0', '1', '4']), house_kind: '01', ownership: c.pick(['01', '02']),
      floor_area_m2: String(30 + c.below(100)), rooms: 1 + c.below(4), owner_name: person(c), owner_phone: phone(c), status: 'active',
      community_id: `H${String(index).padStart(8, '0')}`, remark: c.pick(REMARKS),
    },
  }
}

const EDITED = {
  resident: {
    name: person, register_address: place, phone, second_phone: phone, workplace: c => c.pick(WORKPLACES), occupation: c => c.pick(OCCUPATIONS),
    marital_status: c => c.pick(['10', '20', '30', '40']), remark: (c, what) => `${what}：${c.pick(REMARKS)}`,
  },
  house: { owner_name: person, owner_phone: phone, house_use: c => c.pick(['0', '1', '4']), remark: (c, what) => `${what}：${c.pick(REMARKS)}` },
}

/** Some of the edits fall on the same field of the same record: that is what makes conflicts. */
function edits(records, device, count) {
  const c = chance(1000 + device)
  return Array.from({ length: count }, (_, k) => {
    const record = c.below(records.length)
    const choices = EDITED[records[record].type]
    const field = c.pick(Object.keys(choices))
    return { record, field, value: choices[field](c, `设备${device}第${k + 1}次修改`) }
  })
}

export function workload(sizes) {
  const c = chance(7)
  const numbers = new Set()
  const records = [
    ...Array.from({ length: sizes.residents }, (_, i) => resident(c, i, numbers)),
    ...Array.from({ length: sizes.houses }, (_, i) => house(c, i)),
  ]
  return { records, edits: Array.from({ length: sizes.devices }, (_, device) => edits(records, device, sizes.edits)) }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [file, size] = process.argv.slice(2)
  if (!file) throw new Error('usage: node bench/workload.mjs FILE [--small]')
  writeFileSync(file, JSON.stringify(workload(size === '--small' ? SMALL : FULL)))
}
