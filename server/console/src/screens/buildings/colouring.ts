// What a room is coloured by. Each colour comes with a word that stands in the room, so that it never speaks alone.
import type { RoomView } from '@/api/schema'
import type { Declared } from '@/records/declared'
import { houses as texts } from '@/texts/houses'

export type Colouring = keyof typeof texts.colourings

/** One entry of the legend. */
export interface Tone {
  /** Names its colours in the style sheet. */
  tone: string
  label: string
}

/** A room's tone, and the word in it. */
export interface Shade extends Tone {
  mark: string
}

export interface Painter {
  legend: Tone[]
  shade(room: RoomView): Shade
}

export function painter(colouring: Colouring, declared: Declared): Painter {
  if (colouring === 'use') return byUse(declared)
  if (colouring === 'tasks') return byTasks()
  return colouring === 'verified' ? byVerification() : byLiving()
}

/** In the order of the table: each code has its own tone. */
function byUse(declared: Declared): Painter {
  const table = declared.type('house').byName.get('house_use')?.table ?? ''
  const tones = declared.offered(table).map((entry, at): Tone & { code: string } => ({
    code: entry.code,
    tone: `tone-${at % 7}`,
    label: entry.label,
  }))
  const byCode = new Map(tones.map(tone => [tone.code, tone]))
  const unknown: Tone = { tone: 'tone-none', label: texts.useUnknown.label }
  return {
    legend: [...tones, unknown],
    shade(room) {
      const tone = room.house_use ? byCode.get(room.house_use) : undefined
      return tone ? { ...tone, mark: tone.label } : { ...unknown, mark: room.house_use_label ?? texts.useUnknown.mark }
    },
  }
}

function byLiving(): Painter {
  const { living, registered, nobody } = texts.living
  const tones = {
    living: { tone: 'tone-1', label: living.label },
    registered: { tone: 'tone-3', label: registered.label },
    nobody: { tone: 'tone-none', label: nobody.label },
  }
  return {
    legend: Object.values(tones),
    shade(room) {
      if (room.occupied) return { ...tones.living, mark: texts.persons(room.here_both + room.lives_only) }
      if (room.register_only > 0)
        return { ...tones.registered, mark: registered.mark + texts.persons(room.register_only) }
      return { ...tones.nobody, mark: nobody.mark }
    },
  }
}

function byVerification(): Painter {
  const { fresh, stale, never } = texts.verified
  const tones = {
    fresh: { tone: 'tone-1', label: fresh.label },
    stale: { tone: 'tone-3', label: stale.label },
    never: { tone: 'tone-6', label: never.label },
  }
  return {
    legend: Object.values(tones),
    shade(room) {
      if (!room.last_verified) return { ...tones.never, mark: never.mark }
      const day = room.last_verified.slice(2, 7)
      return room.unverified ? { ...tones.stale, mark: day } : { ...tones.fresh, mark: day }
    },
  }
}

function byTasks(): Painter {
  const { overdue, open, none } = texts.tasks
  const tones = {
    overdue: { tone: 'tone-6', label: overdue.label },
    open: { tone: 'tone-3', label: open.label },
    none: { tone: 'tone-none', label: none.label },
  }
  return {
    legend: Object.values(tones),
    shade(room) {
      if (room.overdue_checks > 0)
        return { ...tones.overdue, mark: texts.taskCount(overdue.mark, room.open_checks.length) }
      if (room.open_checks.length > 0)
        return { ...tones.open, mark: texts.taskCount(open.mark, room.open_checks.length) }
      return { ...tones.none, mark: none.mark }
    },
  }
}
