// Pictures of the screens, for the documentation: `npm run screens`.
import { defineConfig } from '@playwright/test'
import tests from './playwright.config'

export default defineConfig({ ...tests, testMatch: 'pictures.ts' })
