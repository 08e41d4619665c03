// Times and numbers as people here read them: Shanghai's time, whatever the machine's.
const ZONE = 'Asia/Shanghai'
const full = new Intl.DateTimeFormat('zh-CN', {
  timeZone: ZONE,
  year: 'numeric',
  month: '2-digit',
  day: '2-digit',
  hour: '2-digit',
  minute: '2-digit',
  hour12: false,
})
const short = new Intl.DateTimeFormat('zh-CN', {
  timeZone: ZONE,
  month: 'numeric',
  day: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  hour12: false,
})
const relative = new Intl.RelativeTimeFormat('zh-CN', { numeric: 'auto' })
/** In seconds. */
const [DAY, HOUR, MINUTE] = [86_400, 3_600, 60]
const number = new Intl.NumberFormat('zh-CN')

/** 2026/11/28 09:30 */
export function time(iso: string | null | undefined): string {
  return iso ? full.format(new Date(iso)) : '—'
}

/** 11/28 09:30 */
export function shortTime(iso: string | null | undefined): string {
  return iso ? short.format(new Date(iso)) : '—'
}

/** 3天前. From 24 hours on it counts days of the calendar, since 明天 and 昨天 are such: 30 hours may reach 后天. */
export function ago(iso: string | null | undefined, now = Date.now()): string {
  if (!iso) return '—'
  const at = new Date(iso).getTime()
  const seconds = (at - now) / 1000
  if (Math.abs(seconds) >= DAY) return relative.format(dayOf(at) - dayOf(now), 'day')
  if (Math.abs(seconds) >= HOUR) return relative.format(Math.trunc(seconds / HOUR), 'hour')
  if (Math.abs(seconds) >= MINUTE) return relative.format(Math.trunc(seconds / MINUTE), 'minute')
  return '刚刚'
}

/** The day in Shanghai of a moment (ms), counted from 1970: no summer time there since 1991, always 8 hours ahead. */
function dayOf(at: number): number {
  return Math.floor((at / 1000 + 8 * HOUR) / DAY)
}

/** Today in Shanghai, as 2026-11-28. */
export function today(now = Date.now()): string {
  return new Date(now + 8 * HOUR * 1000).toISOString().slice(0, 10)
}

export function count(value: number): string {
  return number.format(value)
}
