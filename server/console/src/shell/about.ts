// Where a thing is shown that a message, or an entry of the log, speaks of by kind and id.
import { useRouter } from 'vue-router'
import { useSession } from '@/session/store'
import { screens } from './screen'

const places = new Map(screens.flatMap(screen => Object.entries(screen.shows ?? {})))

/** Gives a thing's address; none, where no screen shows it, or none that the user may open. */
export function useAbout(): (kind: string, id: string) => string | undefined {
  const session = useSession()
  const router = useRouter()
  return (kind, id) => {
    const place = places.get(kind)
    if (place === undefined) return undefined
    const to = `${place}/${encodeURIComponent(id)}`
    const permission = router.resolve(to).meta.permission
    return permission === undefined || session.may(permission) ? to : undefined
  }
}
