// What a screen tells of itself. Each folder of src/screens has a screen.ts that exports one of these by default; menu,
// routes, shortcuts and search are made from them, so that a new screen touches no file of another.
import type { RouteRecordRaw } from 'vue-router'

/** One found thing. */
export interface Hit {
  id: string
  /** Its line. */
  title: string
  /** A second, quieter line. */
  detail?: string
  /** Where it is shown. */
  to: string
}

export interface SearchProvider {
  /** The heading above its hits. */
  label: string
  /** Who doesn't have it is not offered this search. */
  permission: string
  find(words: string, signal: AbortSignal): Promise<Hit[]>
}

export interface MenuEntry {
  label: string
  to: string
  /** Path of a 24 × 24 icon drawn in lines. */
  icon: string
  /** Who doesn't have it sees no entry; everyone, unless told. */
  permission?: string
  /** The letter that goes there after `g`. */
  key: string
}

export interface Screen {
  /** Place in the menu, ascending. */
  order: number
  menu?: MenuEntry
  /** Pages within the shell; `meta.permission` is asked before one is shown, `meta.title` names it. */
  routes?: RouteRecordRaw[]
  /** Pages without the shell, such as the sign-in. */
  bare?: RouteRecordRaw[]
  search?: SearchProvider
  /** The kinds of things that it shows, each with the address before the thing's id. */
  shows?: { [kind: string]: string }
}

declare module 'vue-router' {
  interface RouteMeta {
    /** Who doesn't have it is told so. */
    permission?: string
    /** The page's name, for the window's title. */
    title?: string
    /** Shown to people who are not signed in. */
    open?: boolean
  }
}

const found = import.meta.glob<{ default: Screen }>('../screens/*/screen.ts', { eager: true })

/** Every screen, in the order of the menu. */
export const screens: Screen[] = Object.values(found)
  .map(module => module.default)
  .sort((a, b) => a.order - b.order)
