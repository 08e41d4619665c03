// How the system is, for who looks after devices and users.
import type { Screen } from '@/shell/screen'
import { system as texts } from '@/texts/system'

const permission = 'devices.manage'

const screen: Screen = {
  order: 95,
  menu: { label: texts.menu, to: '/system', icon: 'M3 12h4l2.5-7 5 14L17 12h4', permission, key: 'y' },
  routes: [{ path: 'system', component: () => import('./SystemState.vue'), meta: { title: texts.title, permission } }],
}
export default screen
