// Users and what they are granted, for who manages them.
import type { Screen } from '@/shell/screen'
import { users as texts } from '@/texts/users'

const permission = 'users.read'

const screen: Screen = {
  order: 70,
  menu: {
    label: texts.menu,
    to: '/users',
    icon: 'M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM2.5 20c.4-4 3-6 6.5-6s6.1 2 6.5 6M16 4.6a3.5 3.5 0 0 1 0 6.1M18 14.6c2 .8 3.2 2.6 3.5 5.4',
    permission,
    key: 'u',
  },
  routes: [
    { path: 'users', component: () => import('./UserList.vue'), meta: { title: texts.title, permission } },
    {
      path: 'users/:id',
      component: () => import('./UserItem.vue'),
      props: true,
      meta: { title: texts.itemTitle, permission },
    },
  ],
  shows: { user: '/users' },
}
export default screen
