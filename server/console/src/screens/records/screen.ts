// Doors to what is known by its id alone: a record of any type, a check. Each leads to where it is shown.
import type { Screen } from '@/shell/screen'
import { records as texts } from '@/texts/records'

const permission = 'register.read'
const component = () => import('./ThingDoor.vue')
const meta = { title: texts.file, permission }

const screen: Screen = {
  order: 200,
  routes: [
    { path: 'records/:id', component, props: route => ({ kind: 'record', id: route.params['id'] }), meta },
    { path: 'checks/:id', component, props: route => ({ kind: 'check', id: route.params['id'] }), meta },
  ],
  shows: { record: '/records', check: '/checks' },
}
export default screen
