// Pictures of every screen into docs/screens: 1366 × 768, some of them dark as well, and some on a tablet.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Page } from '@playwright/test'
import { paletted } from './palette'
import { places } from './places'
import { enter, expect, test } from './test'

const DARK = ['sign-in', 'desk', 'conflict', 'person', 'buildings', 'system']
const TABLET = ['desk', 'conflict', 'people', 'person', 'buildings', 'import-checked']
const MOST_BYTES = 150_000

const folder = fileURLToPath(new URL('../../../docs/screens', import.meta.url))
mkdirSync(folder, { recursive: true })

async function picture(page: Page, name: string): Promise<void> {
  await page.waitForTimeout(400)
  const picture = paletted(await page.screenshot())
  writeFileSync(join(folder, `${name}.png`), picture)
  expect.soft(picture.length, `${name}.png`).toBeLessThan(MOST_BYTES)
}

for (const place of places) {
  test(`picture of ${place.name}`, async ({ page, town }) => {
    await page.emulateMedia({ reducedMotion: 'reduce', colorScheme: 'light' })
    const path = await place.path(town)
    if (place.who) await enter(page, town, town.people[place.who], path)
    else await page.goto(town.url + path)
    await place.ready(page)
    await page.evaluate(() => document.fonts.ready)
    await picture(page, place.name)
    if (DARK.includes(place.name)) {
      await page.emulateMedia({ reducedMotion: 'reduce', colorScheme: 'dark' })
      await picture(page, `${place.name}-dark`)
      await page.emulateMedia({ reducedMotion: 'reduce', colorScheme: 'light' })
    }
    if (TABLET.includes(place.name)) {
      await page.setViewportSize({ width: 1024, height: 768 })
      await picture(page, `${place.name}-tablet`)
    }
  })
}

test('no picture is left of a screen that is no more', () => {
  const wanted = new Set(
    places.flatMap(({ name }) => [
      `${name}.png`,
      ...(DARK.includes(name) ? [`${name}-dark.png`] : []),
      ...(TABLET.includes(name) ? [`${name}-tablet.png`] : []),
    ]),
  )
  for (const name of readdirSync(folder)) if (!wanted.has(name)) rmSync(join(folder, name))
})
