// Registers from files.
import type { Screen } from '@/shell/screen'
import { imports as texts } from '@/texts/imports'

const permission = 'register.import'

const screen: Screen = {
  order: 50,
  menu: {
    label: texts.menu,
    to: '/imports',
    icon: 'M12 3v11M8 10.5l4 4 4-4M4 15v5h16v-5',
    permission,
    key: 'i',
  },
  routes: [
    { path: 'imports', component: () => import('./ImportList.vue'), meta: { title: texts.title, permission } },
    { path: 'imports/new', component: () => import('./ImportUpload.vue'), meta: { title: texts.newTitle, permission } },
    {
      path: 'imports/:id',
      component: () => import('./ImportItem.vue'),
      props: true,
      meta: { title: texts.itemTitle, permission },
    },
  ],
  shows: { import: '/imports' },
}
export default screen
