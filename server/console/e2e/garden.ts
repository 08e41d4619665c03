// Payloads in whatever a person types: planted where it is kept, and looked for where it is shown, as it was typed.
import { readFileSync } from 'node:fs'
import { expect, type Page } from '@playwright/test'
import type { Town } from './town'

interface Field {
  name: string
  kind: string
  max_len: number
  digits?: number | null
  writers: string[]
  fields: Field[]
}

/** A text that was planted, and where. */
interface Planted {
  field: string
  text: string
  seen: boolean
}

const list = new URL('../../../tests/fixtures/payloads.json', import.meta.url)
const kinds = JSON.parse(readFileSync(list, 'utf8')) as Record<string, string[]>
export const payloads = Object.values(kinds).flat()
export const scripts = kinds['script'] ?? []
/** A character that no other record has: what is searched for. */
export const RARE = '龘'
/** What only a payload that was taken for markup would make. */
export const BORN = [
  ...['onerror', 'onload', 'ontoggle', 'onfocus', 'onmouseover'].map(name => `[${name}]`),
  ...['src', 'href', 'action', 'data'].map(name => `[${name}*="evil.example"]`),
  ...['javascript:', 'vbscript:', 'data:text/html'].map(scheme => `[href^="${scheme}"]`),
  'iframe, object, embed, base, math, plaintext, #page script, #page style, meta[http-equiv=refresh]',
].join(', ')

const length = (text: string) => [...text].length
const longestFirst = [...new Set(payloads)].toSorted((a, b) => length(b) - length(a))
/** From so many characters on a payload is told from all else without a mark. */
const PLAIN = 500
/** Most characters of the name of an element. */
const ELEMENT = 64
/** What no text keeps. */
const CONTROL = /[^\P{Cc}\t\n\r]/u
/** What the name of an element does not keep, nor the name of a file. */
const PART = /[/\\\p{Cc}]/u
/** No two texts are alike, whoever plants them. */
let turn = 0

type Fits = (payload: string) => boolean
/** What stays whole where only a line is taken, and without the blanks around it. */
export const line: Fits = payload => payload === payload.trimStart() && !/\p{Cc}/u.test(payload)
/** What stays whole on the command line, which takes quotes at the beginning for a workbook's mark of text. */
const typed: Fits = payload => line(payload) && !payload.startsWith("'")
/** What stays whole as a part of a path. */
export const part: Fits = payload => !PART.test(payload)

export class Garden {
  private readonly planted: Planted[] = []
  private readonly times = new Map<string, number>()
  private readonly types = new Map<string, Field[]>()

  static async in(town: Town): Promise<Garden> {
    const garden = new Garden()
    const declared = (await town.ask(town.people.zhou, 'GET', '/api/declarations')) as unknown as {
      types: { name: string; fields: Field[] }[]
    }
    for (const type of declared.types) garden.types.set(type.name, type.fields)
    return garden
  }

  /** Of the payloads that fit and were planted least the longest: few places have room for it. */
  next(field: string, most: number, fits: Fits = () => true): string {
    const mark = `${RARE}${turn++}${RARE}`
    const whole = (payload: string) =>
      length(payload + mark) > most && length(payload) >= PLAIN ? payload : payload + mark
    const times = (payload: string) => this.times.get(payload) ?? 0
    const fitting = longestFirst.filter(one => !CONTROL.test(one) && fits(one) && length(whole(one)) <= most)
    const least = Math.min(...fitting.map(times))
    const payload = fitting.find(one => times(one) === least)
    if (payload === undefined) throw new Error(`no payload fits ${field}`)
    this.times.set(payload, least + 1)
    return this.plant(field, whole(payload))
  }

  /** Notes a text that is to be seen. */
  plant(field: string, text: string): string {
    this.planted.push({ field, text, seen: false })
    return text
  }

  /** A payload for every text of a type that a role writes; sets and lists get as many as told. */
  fill(type: string, writer: string, many = 0, fits: Fits = () => true): Record<string, unknown> {
    const filled: Record<string, unknown> = {}
    for (const field of this.types.get(type) ?? []) {
      if (field.digits || !field.writers.includes(writer)) continue
      const name = `${type}.${field.name}`
      if (['text', 'address'].includes(field.kind)) filled[field.name] = this.next(name, field.max_len, fits)
      for (let at = 0; at < many; at++) {
        // The name of an element is a part of its key.
        if (['texts', 'codes'].includes(field.kind)) {
          const most = field.kind === 'texts' ? field.max_len : ELEMENT
          filled[`${field.name}/${this.next(name, most, part)}`] = true
        }
        if (field.kind === 'items') {
          const texts = field.fields.filter(inner => inner.kind === 'text')
          const item = texts.map(inner => [inner.name, this.next(`${name}.${inner.name}`, inner.max_len)] as const)
          filled[`${field.name}/${at}`] = JSON.stringify({ ...Object.fromEntries(item), relation: '01' })
        }
      }
    }
    return filled
  }

  /** The same, as the command line of a device takes it. */
  said(type: string): string[] {
    return Object.entries(this.fill(type, 'collector', 0, typed)).map(([key, text]) => `${key}=${String(text)}`)
  }

  /** Notes what a page shows, letter by letter; none of it may have become more than text. */
  async look(page: Page): Promise<void> {
    await expect(page.locator('.skeleton:visible')).toHaveCount(0)
    const shown = await page.evaluate(() => {
      const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
      let all = ''
      for (let node = walk.nextNode(); node; node = walk.nextNode()) {
        if (node.parentElement?.checkVisibility()) all += node.nodeValue ?? ''
      }
      return all
    })
    for (const one of this.planted) one.seen ||= shown.includes(one.text)
    expect(await page.locator(BORN).count(), `markup at ${page.url()}`).toBe(0)
  }

  /** The fields that hold a payload. */
  get fields(): string[] {
    return [...new Set(this.planted.map(one => one.field))]
  }

  /** What was planted and no page showed. */
  get unseen(): string[] {
    return this.planted.filter(one => !one.seen).map(one => `${one.field}: ${one.text}`)
  }

  /** What a text of so many characters could hold, and was planted nowhere. */
  left(most: number): string[] {
    return longestFirst.filter(one => !this.times.has(one) && !CONTROL.test(one) && length(one) < most)
  }
}
