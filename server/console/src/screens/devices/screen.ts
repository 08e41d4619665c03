// Devices of one's areas.
import type { Screen } from '@/shell/screen'
import { devices as texts } from '@/texts/devices'

const permission = 'devices.read'

const screen: Screen = {
  order: 80,
  menu: { label: texts.menu, to: '/devices', icon: 'M7 3h10v18H7zM11 18h2', permission, key: 'e' },
  routes: [
    { path: 'devices', component: () => import('./DeviceList.vue'), meta: { title: texts.title, permission } },
    {
      path: 'devices/:id',
      component: () => import('./DeviceItem.vue'),
      props: true,
      meta: { title: texts.itemTitle, permission },
    },
  ],
  shows: { device: '/devices' },
}
export default screen
