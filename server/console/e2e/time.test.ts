// How moments are told, without a browser: days are those of Shanghai's calendar.
import { expect, test } from '@playwright/test'
import { ago, today } from '../src/ui/format'

const at = (shanghai: string) => Date.parse(`${shanghai}+08:00`)
const told = (moment: string, now: string) => ago(new Date(at(moment)).toISOString(), at(now))

test('from one day on, days of the calendar are counted', () => {
  // 30 hours from Monday evening on is Wednesday.
  expect(told('2026-11-25T02:00', '2026-11-23T20:00')).toBe('后天')
  expect(told('2026-11-24T20:00', '2026-11-23T20:00')).toBe('明天')
  expect(told('2026-11-22T23:00', '2026-11-24T03:00')).toBe('前天')
  expect(told('2026-11-23T01:00', '2026-11-24T03:00')).toBe('昨天')
  expect(told('2026-11-30T09:00', '2026-11-24T20:00')).toBe('6天后')
})

test('below one day, hours and minutes are counted', () => {
  expect(told('2026-11-24T19:00', '2026-11-23T20:00')).toBe('23小时后')
  expect(told('2026-11-23T19:01', '2026-11-23T20:00')).toBe('59分钟前')
  expect(told('2026-11-23T20:00', '2026-11-23T20:00')).toBe('刚刚')
})

test('today is the day in Shanghai', () => {
  expect(today(at('2026-11-24T07:59'))).toBe('2026-11-24')
  expect(today(at('2026-11-24T00:00') - 1)).toBe('2026-11-23')
})
