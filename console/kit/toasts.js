/** Short messages that disappear by themselves. */

import { signal } from '@preact/signals'
import { html } from './html.js'

const toasts = signal([])

/** Shows for six seconds that something was done, or that it failed. */
export function toast(text, tone = 'good') {
  const item = { text, tone }
  toasts.value = [...toasts.value, item]
  setTimeout(() => {
    toasts.value = toasts.value.filter((toast) => toast !== item)
  }, 6_000)
}

export function Toasts() {
  return html`<div class="toasts" role="status" aria-live="polite">${toasts.value.map(
    ({ text, tone }) => html`<div data-tone=${tone} key=${text}>${text}</div>`,
  )}</div>`
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text)
    toast('Copied.')
  } catch {
    toast('The browser does not allow this page to copy. Select the text instead.', 'bad')
  }
}
