// How the console is tested: one Chromium, one server with a town of its own for all files, one test after another.
import { existsSync } from 'node:fs'
import { defineConfig } from '@playwright/test'

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const given = process.env['CHROMIUM']
const chromium = given ?? PLACES.find(existsSync)
if (!chromium) throw new Error(`Chromium is missing (${PLACES.join(', ')}); name another with CHROMIUM`)

export default defineConfig({
  testDir: 'e2e',
  testMatch: '*.test.ts',
  workers: 1,
  timeout: 60_000,
  expect: { timeout: 10_000 },
  reporter: 'list',
  outputDir: 'test-results',
  use: {
    viewport: { width: 1366, height: 768 },
    locale: 'zh-CN',
    timezoneId: 'Asia/Shanghai',
    trace: 'retain-on-failure',
    launchOptions: {
      executablePath: chromium,
      // Without a language Chromium calls every file whose name is not in Latin letters 'download'.
      env: { ...process.env, LC_ALL: 'C.UTF-8' },
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    },
  },
})
