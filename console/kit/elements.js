/** The elements that the pages are made of: icons, cards, tables, tabs, meters. */

import { clock, none, percent } from './format.js'
import { html } from './html.js'
import { outcomes, states } from './states.js'

export function Icon({ name }) {
  return html`<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round"
    stroke-linejoin="round" aria-hidden="true"><path d=${icons[name]} /></svg>`
}

const icons = {
  logo: 'M3 12h5c5 0 4-7 9-7h4M8 12h13M8 12c5 0 4 7 9 7h4',
  overview: 'M4 13h6V4H4zM14 20h6v-9h-6zM14 7h6V4h-6zM4 20h6v-3H4z',
  fleet: 'M4 4h16v6H4zM4 14h16v6H4zM8 7h.01M8 17h.01',
  requests: 'M4 6h16M4 12h16M4 18h10',
  playground: 'M5 5h14v11H9l-4 4z',
  teams:
    'M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM3 20c0-4 3-6 6-6s6 2 6 6M16 4.5a3.5 3.5 0 0 1 0 6.5M18 14.5c2 .8 3 2.7 3 5.5',
  models: 'M12 3l8 4.5v9L12 21l-8-4.5v-9zM12 12l8-4.5M12 12v9M12 12L4 7.5',
  settings: 'M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4',
  close: 'M6 6l12 12M18 6L6 18',
  theme: 'M20 14.5A8 8 0 0 1 9.5 4 8 8 0 1 0 20 14.5z',
}
export function Card({ title, end, children, body = false, id }) {
  return html`<section class="card" aria-label=${title} id=${id}>
    <header><h2>${title}</h2>${end}</header>
    ${body ? html`<div class="body">${children}</div>` : children}
  </section>`
}

/** A table that scrolls sideways if it is too wide, by keyboard too. */
export function Table({ label, head, children }) {
  return html`<div class="scroll" role="region" aria-label=${label} tabindex="0">
    <table>
      <caption class="unseen">${label}</caption>
      <thead><tr>${head.map((each) => {
        const [text, name = ''] = [each].flat()
        return html`<th scope="col" class=${name} key=${text}>${text === '' ? html`<span class="unseen">Actions</span>` : text}</th>`
      })}</tr></thead>
      ${children}
    </table>
  </div>`
}

export function Empty({ children }) {
  return html`<p class="empty">${children}</p>`
}

export function Notice({ tone, children }) {
  return html`<div class="notice" data-tone=${tone}>${children}</div>`
}

export function Segments({ label, options, value, onChange }) {
  return html`<div class="segments" role="group" aria-label=${label}>${options.map(
    ([key, text]) =>
      html`<button type="button" key=${key} aria-pressed=${String(key === value)} onClick=${() => onChange(key)}>${text}</button>`,
  )}</div>`
}

/** Tabs with arrow keys, as described by the ARIA Authoring Practices: https://www.w3.org/WAI/ARIA/apg/patterns/tabs/ */
export function Tabs({ label, tabs, value, onChange }) {
  const move = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
    if (!step) return
    const index = tabs.findIndex(([key]) => key === value)
    const [next] = tabs[(index + step + tabs.length) % tabs.length]
    onChange(next)
    event.currentTarget.querySelector(`[data-tab="${next}"]`).focus()
  }
  return html`<div class="tabs" role="tablist" aria-label=${label} onKeyDown=${move}>${tabs.map(
    ([key, text]) => html`<button type="button" role="tab" key=${key} id=${`tab-${key}`} data-tab=${key}
      aria-selected=${String(key === value)} aria-controls="panel" tabindex=${key === value ? 0 : -1}
      onClick=${() => onChange(key)}>${text}</button>`,
  )}</div>`
}

export function Panel({ of, children }) {
  return html`<div role="tabpanel" id="panel" aria-labelledby=${`tab-${of}`} class="stack">${children}</div>`
}

export function Meter({ share, label, wide = false }) {
  const tone = share >= 0.95 ? 'bad' : share >= 0.8 ? 'warn' : ''
  return html`<span class=${wide ? 'meter wide' : 'meter'} data-tone=${tone} role="img" aria-label=${label ?? percent(share)}
    ><span style=${{ width: `${Math.min(100, share * 100)}%` }}></span></span>`
}

export function Spark({ values, label }) {
  if (!values || values.length < 2) return null
  const most = Math.max(1e-9, ...values)
  const points = values.map(
    (value, index) => `${(index * 72) / (values.length - 1)},${18.5 - ((value ?? 0) * 17) / most}`,
  )
  return html`<svg class="spark" viewBox="0 0 72 20" preserveAspectRatio="none" role="img" aria-label=${label}>
    <polyline points=${points.join(' ')} /></svg>`
}

export function State({ of, note = '' }) {
  const [word, tone] = states[of] ?? outcomes[of] ?? [of, 'none']
  return html`<span class="state"><span class="dot" data-tone=${tone}></span>${word}${note}</span>`
}

export function Time({ at }) {
  if (!at) return none
  return html`<time datetime=${at} title=${new Date(at).toString()}>${clock(at)}</time>`
}
