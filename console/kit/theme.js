/** The theme: light, dark, or `auto`, which follows the system. */

import { signal } from '@preact/signals'

export const theme = signal(document.documentElement.dataset.theme ?? 'auto')

const system = matchMedia('(prefers-color-scheme: dark)')
/** What `auto` stands for at present. Charts are bitmaps, so they are redrawn when it changes. */
export const systemIsDark = signal(system.matches)
system.addEventListener('change', ({ matches }) => {
  systemIsDark.value = matches
})

const storageKey = 'llm-router-theme'

export function setTheme(name) {
  theme.value = name
  try {
    localStorage.setItem(storageKey, name)
  } catch {
    // The browser stores nothing: the theme is kept until the page is closed.
  }
  if (name === 'auto') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = name
}

/** Applies the theme that was chosen on an earlier visit. */
export function restoreTheme() {
  const stored = storedTheme()
  if (stored === 'light' || stored === 'dark') setTheme(stored)
}

function storedTheme() {
  try {
    return localStorage.getItem(storageKey)
  } catch {
    return undefined
  }
}
