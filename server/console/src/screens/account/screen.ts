// One's own account: password, second factor, sessions, rights.
import type { Screen } from '@/shell/screen'
import { session as texts } from '@/texts/session'

const screen: Screen = {
  order: 1000,
  routes: [{ path: 'account', component: () => import('./MyAccount.vue'), meta: { title: texts.accountTitle } }],
}
export default screen
