// The view of buildings (房态图).
import type { Screen } from '@/shell/screen'
import { houses as texts } from '@/texts/houses'

const permission = 'register.read'

const screen: Screen = {
  order: 34,
  menu: {
    label: texts.viewMenu,
    to: '/buildings',
    icon: 'M5 21V4h9v17M14 9h5v12M3 21h18M8 8h.1M11 8h.1M8 12h.1M11 12h.1M8 16h.1M11 16h.1M17 13h.1M17 17h.1',
    permission,
    key: 'b',
  },
  routes: [
    { path: 'buildings', component: () => import('./BuildingsPage.vue'), meta: { title: texts.view, permission } },
  ],
}
export default screen
