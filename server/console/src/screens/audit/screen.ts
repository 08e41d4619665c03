// The audit log, for auditors.
import type { Screen } from '@/shell/screen'
import { audit as texts } from '@/texts/audit'

const permission = 'audit.read'

const screen: Screen = {
  order: 90,
  menu: {
    label: texts.menu,
    to: '/audit',
    icon: 'M6 3h9l4 4v14H6zM14 3v5h5M9 12h7M9 16h7',
    permission,
    key: 'l',
  },
  routes: [{ path: 'audit', component: () => import('./AuditLog.vue'), meta: { title: texts.title, permission } }],
}
export default screen
