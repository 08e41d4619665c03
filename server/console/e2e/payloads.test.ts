// Scripts in every text that a collector can write, shown by a real browser on every screen that shows records: none
// runs, nothing is fetched, and each stands there as it was typed.
import { readFileSync } from 'node:fs'
import { register } from './estate'
import { enter, expect, giving, test, watch } from './test'
import { COMMITTEE, type Town } from './town'

interface Field {
  name: string
  kind: string
  max_len: number
  own_operation: boolean
  fields: Field[]
}

/** A text that was planted, and where. */
interface Planted {
  field: string
  text: string
  seen: boolean
}

const list = new URL('../../../tests/fixtures/payloads.json', import.meta.url)
const kinds = JSON.parse(readFileSync(list, 'utf8')) as Record<'script' | 'template', string[]>
const payloads = [...kinds.script, ...kinds.template]
/** People, each with a house, a residence and a visit: enough that each payload stands in some field. */
const PEOPLE = 6
/** A character that no other record has: what is searched for. */
const RARE = '龘'
/** What only a payload that was taken for markup would make. */
const BORN = [
  ...['onerror', 'onload', 'ontoggle', 'onfocus', 'onmouseover'].map(name => `[${name}]`),
  ...['src', 'href', 'action', 'data'].map(name => `[${name}*="evil.example"]`),
  ...['javascript:', 'vbscript:', 'data:text/html'].map(scheme => `[href^="${scheme}"]`),
  'iframe, object, embed, base, math, plaintext, #page script, #page style, meta[http-equiv=refresh]',
].join(', ')

class Garden {
  readonly planted: Planted[] = []
  private turn = 0
  private types = new Map<string, Field[]>()

  constructor(private readonly town: Town) {}

  async declare(): Promise<void> {
    const declared = (await this.town.ask(this.town.people.zhou, 'GET', '/api/declarations')) as unknown as {
      types: { name: string; fields: Field[] }[]
    }
    for (const type of declared.types) this.types.set(type.name, type.fields)
  }

  /** The payload that was planted least of those that fit. */
  private next(type: string, field: Field, fits: (payload: string) => boolean = () => true): string {
    const mark = `${RARE}${this.turn++}${RARE}`
    const fitting = payloads.filter(payload => [...payload, ...mark].length <= field.max_len && fits(payload))
    const times = (payload: string) => this.planted.filter(one => one.text.startsWith(payload)).length
    const least = Math.min(...fitting.map(times))
    const text = `${fitting.find(payload => times(payload) === least) ?? ''}${mark}`
    this.planted.push({ field: `${type}.${field.name}`, text, seen: false })
    return text
  }

  /** A payload for every text of a type. */
  fill(type: string): Record<string, unknown> {
    const filled: Record<string, unknown> = {}
    for (const field of this.types.get(type) ?? []) {
      if (field.own_operation) continue
      if (['text', 'address'].includes(field.kind)) filled[field.name] = this.next(type, field)
      // The name of an element is a part of its key.
      if (field.kind === 'texts') {
        filled[`${field.name}/${this.next(type, { ...field, max_len: 60 }, text => !text.includes('/'))}`] = true
      }
      if (field.kind === 'items') {
        const texts = field.fields.filter(inner => inner.kind === 'text')
        const item = Object.fromEntries(
          texts.map(inner => [inner.name, this.next(type, { ...inner, name: `${field.name}.${inner.name}` })]),
        )
        filled[`${field.name}/1`] = JSON.stringify({ ...item, relation: '01' })
      }
    }
    return filled
  }

  /** Registers a record full of payloads; those that the rules refuse (a code that is no number, say) are left out. */
  async plant(
    kind: 'residents' | 'houses' | 'residences',
    type: string,
    rest: Record<string, unknown>,
  ): Promise<string> {
    let fields: Record<string, unknown> = { ...this.fill(type), ...rest }
    for (;;) {
      try {
        return await register(this.town, this.town.people.zhou, kind, fields, COMMITTEE)
      } catch (cause) {
        const paths = [...String(cause).matchAll(/"path":"((?:[^"\\]|\\.)*)"/g)].map(
          found => JSON.parse(`"${found[1] ?? ''}"`) as string,
        )
        const named = (key: string) => paths.some(path => key === path || (key.includes('/') && key.startsWith(path)))
        const refused = Object.keys(fields).filter(key => !(key in rest) && named(key))
        if (refused.length === 0) throw cause
        for (const key of refused) this.forget(fields[key] === true ? key.slice(key.indexOf('/') + 1) : fields[key])
        fields = Object.fromEntries(Object.entries(fields).filter(([key]) => !refused.includes(key)))
      }
    }
  }

  private forget(text: unknown): void {
    const at = this.planted.findIndex(one => one.text === text)
    if (at >= 0) this.planted.splice(at, 1)
  }

  /** Notes which payloads stand in what a page shows. */
  look(shown: string): void {
    const plain = shown.replace(/\s+/g, ' ')
    for (const one of this.planted) one.seen ||= plain.includes(one.text.replace(/\s+/g, ' '))
  }
}

test('scripts in every text of a person, a house, a residence and a visit are shown and never run', async ({
  page,
  town,
  faults,
}) => {
  test.setTimeout(120_000)
  page.on('request', request => {
    if (request.url().includes('evil.example')) faults.push(`fetched: ${request.url()}`)
  })
  const garden = new Garden(town)
  await garden.declare()
  const homes: { person: string; house: string }[] = []
  for (let at = 0; at < PEOPLE; at++) {
    const who = { sex: '2', birth_date: '1975-06-01', population_kind: '02' }
    const person = await garden.plant('residents', 'resident', who)
    const house = await garden.plant('houses', 'house', { house_use: '1' })
    homes.push({ person, house })
  }
  const [first, second] = homes
  if (!first || !second) throw new Error('nobody was registered')
  // Without a house a residence's own address is shown.
  const residence = await garden.plant('residences', 'residence', { resident: second.person, kind: 'living' })
  await register(
    town,
    town.people.zhou,
    'residences',
    { resident: first.person, house: first.house, kind: 'living' },
    COMMITTEE,
  )
  await town.sync('li', 'wang')
  for (const { person } of homes) {
    const said = Object.entries(garden.fill('visit')).map(([key, text]) => `${key}=${String(text)}`)
    await town.device('li', 'visit', '--resident', person, ...said)
  }
  // One item of the queue shows the person with all that the file has, the other the residence.
  for (const [who, address, main] of [
    ['li', '甲', '是'],
    ['wang', '乙', '否'],
  ] as const) {
    await town.device(who, 'set', first.person, `户籍地址=${payloads[1] ?? ''}${address}`)
    await town.device(who, 'set', residence, `主要居住地=${main}`)
  }
  await town.sync('li', 'wang')
  const items = [
    { item: await town.conflictOf(first.person), about: '户籍地址' },
    { item: await town.conflictOf(residence), about: '主要居住地' },
  ]

  const look = async () => {
    await expect(page.locator('.el-skeleton:visible')).toHaveCount(0)
    garden.look(await page.evaluate(() => document.body.innerText))
    expect(await page.locator(BORN).count(), `markup at ${page.url()}`).toBe(0)
  }
  await enter(page, town, town.people.zhou, `/people?text=${RARE}`)
  await expect(page.getByRole('row')).toHaveCount(PEOPLE + 1)
  await look()
  await page.goto(`${town.url}/houses?text=${RARE}`)
  await expect(page.getByRole('row')).toHaveCount(PEOPLE + 1)
  await look()
  for (const { person, house } of homes) {
    for (const file of [`/people/${person}`, `/houses/${house}`]) {
      await page.goto(town.url + file)
      await page.getByRole('button', { name: '查看完整信息' }).click()
      await giving(page, '上门核实')
      await look()
      if (file.startsWith('/people')) {
        await page.getByRole('tab', { name: '走访' }).click()
        await expect(page.getByRole('tabpanel', { name: '走访' }).getByText('走访记录')).toBeVisible()
        await look()
      }
      await page.getByRole('tab', { name: '修改历史' }).click()
      await page
        .getByRole('button', { name: /^展开其余/ })
        .last()
        .click()
      await look()
    }
    await page.goto(`${town.url}/buildings?area=${COMMITTEE}&room=${house}`)
    await expect(page.getByRole('dialog')).toContainText(RARE)
    await look()
  }
  for (const { item, about } of items) {
    await page.goto(`${town.url}/conflicts/${item}`)
    await expect(page.locator('.card .value').first()).toBeVisible()
    await page.keyboard.press('h')
    await expect(page.locator('details', { hasText: '修改历史' })).toContainText(about)
    await look()
  }

  // They did come to the screens: each field's, and each payload.
  const fields = [...new Set(garden.planted.map(one => one.field))]
  const unseen = fields.filter(field => !garden.planted.some(one => one.field === field && one.seen))
  expect(unseen, 'fields that no screen showed').toEqual([])
  // Some were planted only where a field is hidden from whoever looks, or in a record of which one shows another side.
  const shown = garden.planted.filter(one => one.seen).map(one => one.text)
  const missed = payloads.filter(payload => !shown.some(text => text.startsWith(payload)))
  expect(missed.length, missed.join('\n')).toBeLessThan(payloads.length / 4)
  expect(fields.length).toBeGreaterThan(25)
})

test('a script that did run would be noticed', async ({ browser }) => {
  const page = await (await browser.newContext()).newPage()
  const faults: string[] = []
  watch(page, faults)
  await page.setContent(kinds.script.slice(0, 4).join(''))
  await expect.poll(() => faults.length).toBeGreaterThan(0)
  expect(await page.locator(BORN).count()).toBeGreaterThan(0)
  await page.context().close()
})
