// The conflict queue.
import type { Screen } from '@/shell/screen'
import { conflicts as texts } from '@/texts/conflicts'

const permission = 'conflicts.read'

const screen: Screen = {
  order: 20,
  menu: {
    label: texts.menu,
    to: '/conflicts',
    icon: 'M12 4v16M7 20h10M5 7h14M5 7l-3 7a3.2 3.2 0 0 0 6 0L5 7Zm14 0-3 7a3.2 3.2 0 0 0 6 0l-3-7Z',
    permission,
    key: 'c',
  },
  routes: [
    {
      path: 'conflicts/rule',
      component: () => import('./RuleDecision.vue'),
      meta: { title: texts.ruleTitle, permission: 'conflicts.decide' },
    },
    {
      path: 'conflicts',
      component: () => import('./ConflictQueue.vue'),
      meta: { title: texts.title, permission },
      children: [
        { path: '', component: () => import('./NoItem.vue') },
        { path: ':id', component: () => import('./ConflictItem.vue'), props: true, meta: { title: texts.itemTitle } },
      ],
    },
  ],
  shows: { conflict: '/conflicts' },
}
export default screen
