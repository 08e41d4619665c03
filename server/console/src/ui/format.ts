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
const number = new Intl.NumberFormat('zh-CN')

/** 2026/11/28 09:30 */
export function time(iso: string | null | undefined): string {
  return iso ? full.format(new Date(iso)) : '—'
}

/** 11/28 09:30 */
export function shortTime(iso: string | null | undefined): string {
  return iso ? short.format(new Date(iso)) : '—'
}

/** 3天前 */
export function ago(iso: string | null | undefined, now = Date.now()): string {
  if (!iso) return '—'
  const seconds = (new Date(iso).getTime() - now) / 1000
  const steps: [Intl.RelativeTimeFormatUnit, number][] = [
    ['day', 86_400],
    ['hour', 3_600],
    ['minute', 60],
  ]
  for (const [unit, length] of steps) {
    if (Math.abs(seconds) >= length) return relative.format(Math.trunc(seconds / length), unit)
  }
  return '刚刚'
}

export function count(value: number): string {
  return number.format(value)
}
