// The city's tree. For who oversees people in the field, and so sees their devices: with them, who works where is shown.
import type { Screen } from '@/shell/screen'
import { areas as texts } from '@/texts/areas'

const permission = 'devices.read'

const screen: Screen = {
  order: 60,
  menu: {
    label: texts.menu,
    to: '/areas',
    icon: 'M9 4h6v5H9zM3 15h6v5H3zM15 15h6v5h-6zM12 9v3M6 15v-3h12v3',
    permission,
    key: 'a',
  },
  routes: [
    { path: 'areas', component: () => import('./AreaTree.vue'), meta: { title: texts.title, permission } },
    {
      path: 'areas/versions',
      component: () => import('./AreaVersions.vue'),
      meta: { title: texts.versionsTitle, permission },
    },
    {
      path: 'areas/versions/:version(\\d+)',
      component: () => import('./AreaChanges.vue'),
      props: route => ({ version: Number(route.params['version']) }),
      meta: { title: texts.versionsTitle, permission },
    },
  ],
  shows: { area_version: '/areas/versions' },
}
export default screen
