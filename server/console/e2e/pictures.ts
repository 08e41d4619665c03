// Pictures of every screen into docs/screens, in both themes.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { places } from './places'
import { enter, test } from './test'

const folder = fileURLToPath(new URL('../../../docs/screens', import.meta.url))
mkdirSync(folder, { recursive: true })

for (const place of places) {
  test(`picture of ${place.name}`, async ({ page, town }) => {
    await page.emulateMedia({ reducedMotion: 'reduce', colorScheme: 'light' })
    const path = await place.path(town)
    if (place.who) await enter(page, town, town.people[place.who], path)
    else await page.goto(town.url + path)
    await place.ready(page)
    await page.evaluate(() => document.fonts.ready)
    await page.waitForTimeout(400)
    await page.screenshot({ path: join(folder, `${place.name}.png`) })
    await page.emulateMedia({ reducedMotion: 'reduce', colorScheme: 'dark' })
    await page.waitForTimeout(400)
    await page.screenshot({ path: join(folder, `${place.name}-dark.png`) })
  })
}
