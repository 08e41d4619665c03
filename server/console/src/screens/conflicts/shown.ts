// Values as they are read: what a code means, or the value itself.
import type { ConflictDetail, Shown } from '@/api/schema'
import { common } from '@/texts/common'
import { conflicts as texts } from '@/texts/conflicts'

/** What taking one of an item's values is called. */
export function takes(item: ConflictDetail, place: number): string {
  if (item.kind === 'update_cancelled') return item.values[place]?.field_label ? texts.lives : texts.cancels
  return (item.values.length === 2 ? texts.takes[String(place)] : undefined) ?? texts.takeOf(place + 1)
}

/** One line of words for a value. */
export function words(shown: Shown | null | undefined): string {
  if (!shown) return texts.empty_value
  if (shown.meaning) return shown.meaning
  const value = shown.value
  if (value === null || value === undefined || value === '') return texts.empty_value
  if (typeof value === 'boolean') return value ? common.yes : common.no
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
