// The table of pages, made from the screens, and who is let through to them.
import { createRouter, createWebHistory } from 'vue-router'
import { asProblem } from '@/api/problem'
import { useSession } from '@/session/store'
import { screens } from '@/shell/screen'
import { common } from '@/texts/common'

export const SIGN_IN = '/sign-in'
export const FIRST_PASSWORD = '/first-password'

export const router = createRouter({
  history: createWebHistory(),
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
  routes: [
    ...screens.flatMap(screen => screen.bare ?? []),
    {
      path: '/',
      component: () => import('./shell/AppShell.vue'),
      children: [
        ...screens.flatMap(screen => screen.routes ?? []),
        {
          path: ':rest(.*)*',
          component: () => import('./ui/NoPage.vue'),
          meta: { title: common.notFoundTitle },
        },
      ],
    },
  ],
})

router.beforeEach(async to => {
  const session = useSession()
  if (to.meta.open) return true
  const away = { path: SIGN_IN, query: to.path === '/' ? {} : { next: to.fullPath } }
  if (session.token === null) return away
  if (!session.me) {
    try {
      await session.load()
    } catch (cause) {
      // A token that opens nothing any more has ended the session; a server that is away keeps it.
      if (session.token === null) return away
      session.away = { problem: asProblem(cause), to: to.fullPath }
      return false
    }
  }
  if (session.me?.must_change_password && to.path !== FIRST_PASSWORD) return { path: FIRST_PASSWORD }
  return true
})

router.afterEach(to => {
  const title = [...to.matched].reverse().find(record => record.meta.title)?.meta.title
  document.title = title ? `${title} · ${common.product}` : common.product
})

// A page that was built anew meanwhile: its old pieces are gone, so it is loaded whole, once.
router.onError((error, to) => {
  if (!/dynamically imported module|module script|Failed to fetch/.test(String(error))) return
  const key = 'doorstep.reloaded'
  if (sessionStorage.getItem(key) === to.fullPath) return
  sessionStorage.setItem(key, to.fullPath)
  location.assign(to.fullPath)
})
