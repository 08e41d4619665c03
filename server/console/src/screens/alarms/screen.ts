// Alarms of devices, for security administrators.
import type { Screen } from '@/shell/screen'
import { alarms as texts } from '@/texts/alarms'

const permission = 'alarms.read'

const screen: Screen = {
  order: 85,
  menu: { label: texts.menu, to: '/alarms', icon: 'M12 4 2.5 20h19zM12 10v5M12 17.5v.5', permission, key: 'w' },
  routes: [
    { path: 'alarms', component: () => import('./AlarmList.vue'), meta: { title: texts.title, permission } },
    // Where a message leads: the alarm's row among the others.
    {
      path: 'alarms/:id',
      redirect: '/alarms',
      meta: { title: texts.title, permission },
    },
  ],
  shows: { alarm: '/alarms' },
}
export default screen
