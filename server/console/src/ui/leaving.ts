// What is not saved yet is not left unasked: by a link, by the browser's own ways, by closing the page.
import { onScopeDispose } from 'vue'
import { onBeforeRouteLeave, onBeforeRouteUpdate } from 'vue-router'
import { useSession } from '@/session/store'

/** Asks in these words before the page is left while `unsaved` says so; a session that has ended asks nobody. */
export function useLeaving(unsaved: () => boolean, words: string): void {
  const session = useSession()
  const asks = () => session.token !== null && unsaved()
  const mayLeave = () => !asks() || confirm(words)
  onBeforeRouteLeave(mayLeave)
  onBeforeRouteUpdate((to, from) => to.path === from.path || mayLeave())
  const closing = (event: BeforeUnloadEvent) => {
    if (asks()) event.preventDefault()
  }
  addEventListener('beforeunload', closing)
  onScopeDispose(() => removeEventListener('beforeunload', closing))
}
