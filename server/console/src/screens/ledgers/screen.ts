// Ledgers: population and address changes, former residents, the household register.
import type { Screen } from '@/shell/screen'
import { ledgers as texts } from '@/texts/ledgers'

const permission = 'register.read'

const screen: Screen = {
  order: 36,
  menu: {
    label: texts.menu,
    to: '/ledgers',
    icon: 'M5 4h14v16H5zM9 4v16M12.5 9h4M12.5 13h4',
    permission,
    key: 'l',
  },
  routes: [{ path: 'ledgers', component: () => import('./LedgersPage.vue'), meta: { title: texts.title, permission } }],
}
export default screen
