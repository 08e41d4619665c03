// Light, dark, or as the system has it. Kept on this machine; no person's setting, so it needs no server.
import { readonly, ref } from 'vue'

export type Theme = 'auto' | 'light' | 'dark'
const KEY = 'doorstep.theme'
const system = matchMedia('(prefers-color-scheme: dark)')
const saved = localStorage.getItem(KEY)
const chosen = ref<Theme>(saved === 'light' || saved === 'dark' ? saved : 'auto')
const dark = ref(false)

/** What is chosen, and whether it is dark now: for charts, which are painted by hand. */
export const theme = readonly(chosen)
export const isDark = readonly(dark)

function apply(): void {
  dark.value = chosen.value === 'dark' || (chosen.value === 'auto' && system.matches)
  document.documentElement.classList.toggle('dark', dark.value)
  document.documentElement.style.colorScheme = dark.value ? 'dark' : 'light'
}

export function setTheme(to: Theme): void {
  chosen.value = to
  localStorage.setItem(KEY, to)
  apply()
}

/** Takes the saved theme up, before anything is shown. */
export function startTheme(): void {
  system.addEventListener('change', apply)
  apply()
}
