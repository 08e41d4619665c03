// People: finding them, and a person's file.
import { api, ok } from '@/api/client'
import type { Screen } from '@/shell/screen'
import { people as texts } from '@/texts/people'

const permission = 'register.read'

const screen: Screen = {
  order: 30,
  menu: {
    label: texts.menu,
    to: '/people',
    icon: 'M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM2.5 20a6.5 6.5 0 0 1 13 0M16 4.3a3.5 3.5 0 0 1 0 6.4M18 13.8a6.5 6.5 0 0 1 3.5 6.2',
    permission,
    key: 'p',
  },
  routes: [
    { path: 'people', component: () => import('./PeopleList.vue'), meta: { title: texts.title, permission } },
    {
      path: 'people/:id',
      component: () => import('./PersonFile.vue'),
      props: true,
      meta: { title: texts.fileTitle, permission },
    },
  ],
  search: {
    label: texts.title,
    permission,
    async find(text, signal) {
      const page = await ok(api.GET('/api/residents', { params: { query: { text, limit: 6 } }, signal }))
      return page.items.map(person => ({
        id: person.id,
        title: person.title,
        detail: person.residences?.find(tie => tie.main)?.address ?? person.residences?.[0]?.address ?? '',
        to: `/people/${person.id}`,
      }))
    },
  },
}
export default screen
