// Interaction to paint with many residents: `npm run measure`. Not a test: it takes as long as the import does.
import { defineConfig } from '@playwright/test'
import tests from './playwright.config'

export default defineConfig({
  ...tests,
  testMatch: 'measure.ts',
  timeout: 4 * 3600_000,
  use: { ...tests.use, trace: 'off' },
})
