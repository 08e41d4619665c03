// Who is signed in at this tab, and what they may do. The token lives in the tab's session storage: it survives a
// reload, not the tab. What a person may do is the server's word (each grant lists it); the server decides in any case.
import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { api, holdSession, ok } from '@/api/client'
import { asProblem, type Problem } from '@/api/problem'
import type { AreaDetail, Me } from '@/api/schema'
import { contains } from './areas'
import { belongTo } from './kept'

const KEY = 'doorstep.token'

export const useSession = defineStore('session', () => {
  const token = ref<string | null>(sessionStorage.getItem(KEY))
  const me = shallowRef<Me>()
  const area = shallowRef<AreaDetail>()
  /** Why the last session ended, for the sign-in page; empty after a sign-out of one's own. */
  const farewell = ref('')
  /** Who one is could not be asked, though the session may stand: why, and where one was going. */
  const away = shallowRef<{ problem: Problem; to: string }>()

  function hold(value: string | null): void {
    token.value = value
    if (value === null) sessionStorage.removeItem(KEY)
    else sessionStorage.setItem(KEY, value)
  }

  function end(why: string): void {
    hold(null)
    me.value = undefined
    area.value = undefined
    away.value = undefined
    farewell.value = why
    // Who leaves by themselves leaves nothing behind.
    if (why === '') belongTo(undefined)
  }

  holdSession({ token: () => token.value, ended: (problem: Problem) => end(problem.message) })

  async function signIn(login: string, password: string, code?: string): Promise<void> {
    const body = code ? { login, password, code } : { login, password }
    const opened = await ok(api.POST('/api/auth/sign-in', { body }))
    hold(opened.token)
    farewell.value = ''
    await load()
  }

  /** Reads who one is; the area's name is a nicety that may fail. */
  async function load(): Promise<void> {
    me.value = await ok(api.GET('/api/auth/me'))
    away.value = undefined
    belongTo(me.value.id)
    if (me.value.must_change_password || area.value?.code === me.value.area) return
    const path = { area_code: me.value.area }
    area.value = await ok(api.GET('/api/areas/{area_code}', { params: { path } })).catch(() => undefined)
  }

  async function signOut(why = ''): Promise<void> {
    await ok(api.POST('/api/auth/sign-out')).catch(asProblem)
    end(why)
  }

  const permissions = computed(() => new Set(me.value?.grants.flatMap(grant => grant.permissions)))
  /** Whether any grant allows it, anywhere. */
  const may = (permission: string): boolean => permissions.value.has(permission)
  /** Whether a grant allows it in this area. */
  const mayIn = (permission: string, code: string): boolean =>
    me.value?.grants.some(grant => grant.permissions.includes(permission) && contains(grant.area, code)) ?? false
  /** The areas in which it is allowed, the first being where a list begins. */
  const areasFor = (permission: string): string[] =>
    me.value?.grants.filter(grant => grant.permissions.includes(permission)).map(grant => grant.area) ?? []

  return { token, me, area, farewell, away, signIn, signOut, load, end, may, mayIn, areasFor }
})
