// Houses: finding them, and a house's file.
import { api, ok } from '@/api/client'
import type { Screen } from '@/shell/screen'
import { houses as texts } from '@/texts/houses'

const permission = 'register.read'

const screen: Screen = {
  order: 32,
  menu: {
    label: texts.menu,
    to: '/houses',
    icon: 'M4 11.5 12 5l8 6.5M6 10v10h12V10M10 20v-6h4v6',
    permission,
    key: 'h',
  },
  routes: [
    { path: 'houses', component: () => import('./HouseList.vue'), meta: { title: texts.title, permission } },
    {
      path: 'houses/:id',
      component: () => import('./HouseFile.vue'),
      props: true,
      meta: { title: texts.fileTitle, permission },
    },
  ],
  search: {
    label: texts.title,
    permission,
    async find(text, signal) {
      const page = await ok(api.GET('/api/houses', { params: { query: { text, limit: 6 } }, signal }))
      return page.items.map(house => ({ id: house.id, title: house.title, to: `/houses/${house.id}` }))
    },
  },
}
export default screen
