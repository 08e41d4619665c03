// Signing in, and the first password: without the shell.
import type { Screen } from '@/shell/screen'
import { session as texts } from '@/texts/session'

const screen: Screen = {
  order: 0,
  bare: [
    { path: '/sign-in', component: () => import('./SignIn.vue'), meta: { title: texts.title, open: true } },
    { path: '/first-password', component: () => import('./FirstPassword.vue'), meta: { title: texts.firstTitle } },
  ],
}
export default screen
