// The desk: what waits for the user. Where the console begins.
import type { Screen } from '@/shell/screen'
import { desk as texts } from '@/texts/desk'

const screen: Screen = {
  order: 10,
  menu: { label: texts.menu, to: '/', icon: 'M4 12 12 5l8 7M6 10.5V20h12v-9.5M10 20v-5h4v5', key: 'd' },
  routes: [{ path: '', component: () => import('./MyDesk.vue'), meta: { title: texts.title } }],
}
export default screen
