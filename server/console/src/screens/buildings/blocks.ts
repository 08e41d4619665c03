// Rooms as they stand: by estate, building and floor. Knows no colour.
import type { EstateView, FloorsView, RoomView } from '@/api/schema'

export interface Floor {
  floor: number | null
  rooms: RoomView[]
}

/** A building with its rooms; the top floor first. */
export interface Block {
  key: string
  address: string
  estate: string
  floors: Floor[]
  houses: number
}

const numbers = new Intl.Collator('zh-CN', { numeric: true })

/** Buildings in the order of their numbers, estate by estate; those of no estate last. */
export function sorted(estates: EstateView[]): EstateView[] {
  return estates
    .toSorted((a, b) => Number(!a.estate) - Number(!b.estate) || numbers.compare(a.estate ?? '', b.estate ?? ''))
    .map(estate => ({
      ...estate,
      buildings: estate.buildings.toSorted((a, b) => numbers.compare(a.address, b.address)),
    }))
}

/** The rooms of `floors` by building, in the order of `estates`. */
export function blocks(estates: EstateView[], view: FloorsView): Block[] {
  const byBuilding = new Map<string, Floor[]>()
  for (const { floor, rooms } of view.floors) {
    for (const room of rooms) {
      const floors = byBuilding.get(room.building) ?? []
      byBuilding.set(room.building, floors)
      // Floors come in order, so the building's own come in order too.
      const last = floors.at(-1)
      if (last && last.floor === (floor ?? null)) last.rooms.push(room)
      else floors.push({ floor: floor ?? null, rooms: [room] })
    }
  }
  return estates.flatMap(estate =>
    estate.buildings.flatMap((building): Block[] => {
      const floors = byBuilding.get(building.building)
      if (!floors) return []
      const houses = floors.reduce((sum, floor) => sum + floor.rooms.length, 0)
      return [{ key: building.building, address: building.address, estate: estate.estate ?? '', floors, houses }]
    }),
  )
}

/** The blocks with only some of their rooms; floors and blocks without any are left out. */
export function only(all: Block[], wanted: (room: RoomView) => boolean): Block[] {
  return all.flatMap(block => {
    const floors = block.floors
      .map(floor => ({ ...floor, rooms: floor.rooms.filter(wanted) }))
      .filter(floor => floor.rooms.length > 0)
    if (floors.length === 0) return []
    return [{ ...block, floors, houses: floors.reduce((sum, floor) => sum + floor.rooms.length, 0) }]
  })
}

/** Where a room stands among blocks. */
export interface Place {
  block: number
  floor: number
  room: number
}

export function find(all: Block[], house: string): Place | undefined {
  for (const [block, { floors }] of all.entries()) {
    for (const [floor, { rooms }] of floors.entries()) {
      const room = rooms.findIndex(one => one.house === house)
      if (room >= 0) return { block, floor, room }
    }
  }
  return undefined
}

export function roomAt(all: Block[], at: Place): RoomView | undefined {
  return all[at.block]?.floors[at.floor]?.rooms[at.room]
}

/** Where a key leads from a room; the room itself at the edge. */
export function step(all: Block[], from: Place, key: string): Place {
  const floors = all[from.block]?.floors ?? []
  const rooms = floors[from.floor]?.rooms ?? []
  const at = (block: number, floor: number, room: number): Place => {
    const last = (all[block]?.floors[floor]?.rooms.length ?? 1) - 1
    return { block, floor, room: Math.min(Math.max(room, 0), last) }
  }
  switch (key) {
    case 'ArrowRight':
      return at(from.block, from.floor, from.room + 1)
    case 'ArrowLeft':
      return at(from.block, from.floor, from.room - 1)
    case 'Home':
      return at(from.block, from.floor, 0)
    case 'End':
      return at(from.block, from.floor, rooms.length - 1)
    case 'ArrowDown':
      if (from.floor < floors.length - 1) return at(from.block, from.floor + 1, from.room)
      return from.block < all.length - 1 ? at(from.block + 1, 0, from.room) : from
    case 'ArrowUp': {
      if (from.floor > 0) return at(from.block, from.floor - 1, from.room)
      const above = all[from.block - 1]
      return above ? at(from.block - 1, above.floors.length - 1, from.room) : from
    }
    case 'PageDown':
      return from.block < all.length - 1 ? at(from.block + 1, 0, 0) : from
    case 'PageUp':
      return from.block > 0 ? at(from.block - 1, 0, 0) : from
    default:
      return from
  }
}
