/** What all pages are drawn with. Every text goes in as text, never as markup: names come from people. */

import { signal, useSignal } from '@preact/signals'
import htm from 'htm'
import { Component, h } from 'preact'
import { useEffect, useId, useLayoutEffect, useRef } from 'preact/hooks'

export const html = htm.bind(h)

/** A component that is drawn again only when one of its properties is another one. */
export function memo(draw) {
  return class Memo extends Component {
    shouldComponentUpdate(next) {
      const names = Object.keys(next)
      return (
        names.length !== Object.keys(this.props).length ||
        names.some((name) => next[name] !== this.props[name])
      )
    }
    render(props) {
      return draw(props)
    }
  }
}

// Numbers and times

const compactFormat = new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 1 })
const wholeFormat = new Intl.NumberFormat()
export const none = '–'

export const compact = (value) => (value < 10_000 ? whole(value) : compactFormat.format(value))
export const whole = (value) => wholeFormat.format(Math.round(value))
/** A share as a number, such as a weight. */
export const share = (value) => String(Math.round(value * 100) / 100)
export const percent = (share) => `${Math.round(share * 100)} %`
export const plural = (count, one, many = `${one}s`) => `${whole(count)} ${count === 1 ? one : many}`
export const sum = (numbers) => numbers.reduce((total, each) => total + each, 0)

export function rate(value) {
  if (value === undefined || value === null) return none
  return value < 10 ? String(Math.round(value * 10) / 10) : whole(value)
}

export function ms(value) {
  if (value === undefined || value === null) return none
  if (value < 1_000) return `${Math.round(value)} ms`
  return value < 60_000 ? `${(value / 1_000).toFixed(1)} s` : duration(value / 1_000)
}

export function duration(seconds) {
  if (seconds < 60) return `${Math.ceil(seconds)} s`
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`
  const hours = Math.floor(seconds / 3_600)
  return hours < 48
    ? `${hours} h ${Math.floor((seconds % 3_600) / 60)} min`
    : `${Math.floor(hours / 24)} days`
}

/** Below this many, a rate says less than the numbers themselves. */
const enoughForRate = 20

/** Failures as "1 of 1" until there are enough for a rate. */
export function failures(failed, all) {
  if (all === 0) return none
  if (all < enoughForRate) return `${failed} of ${all}`
  const share = (failed / all) * 100
  return failed > 0 && share < 0.1
    ? '< 0.1 %'
    : `${share < 10 ? Math.round(share * 10) / 10 : Math.round(share)} %`
}

const isToday = (date) => date.toDateString() === new Date().toDateString()
/** In the reader's own zone and form. */
export function clock(when) {
  const date = new Date(when)
  const time = date.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' })
  return isToday(date)
    ? time
    : `${date.toLocaleDateString(undefined, { day: 'numeric', month: 'short' })} ${time}`
}
export const moment = (when) =>
  new Date(when).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' })
export const day = (when) => new Date(when).toLocaleDateString(undefined, { day: 'numeric', month: 'short' })

export function Time({ at }) {
  if (!at) return none
  return html`<time datetime=${at} title=${new Date(at).toString()}>${clock(at)}</time>`
}

// States and causes in words

export const states = {
  up: ['up', 'good'],
  trial: ['on trial', 'info'],
  busy: ['rate limited', 'warn'],
  loading: ['loading', 'info'],
  hung: ['hung', 'bad'],
  asleep: ['asleep', 'none'],
  misconfigured: ['misconfigured', 'bad'],
  open: ['ejected', 'bad'],
  down: ['down', 'bad'],
  drained: ['drained', 'none'],
  parked: ['standby', 'none'],
  ready: ['all well', 'good'],
  degraded: ['degraded', 'warn'],
  unusable: ['nothing usable', 'bad'],
  draining: ['shutting down', 'warn'],
  silent: ['does not answer', 'bad'],
}

const codes = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ENOTFOUND: 'host name not found',
  EHOSTUNREACH: 'host not reachable',
  ENETUNREACH: 'network not reachable',
  EPIPE: 'connection closed while sending',
  ELINKLOCAL: 'link-local address refused',
  UND_ERR_CONNECT_TIMEOUT: 'connecting took too long',
  UND_ERR_SOCKET: 'connection closed by the server',
  UND_ERR_HEADERS_OVERFLOW: 'headers too large',
  TIMEOUT_CONTENT: 'no first token in time',
  TIMEOUT_SILENCE: 'the stream fell silent',
  TIMEOUT_REQUEST: 'the answer took too long',
  TIMEOUT_COUNT: 'counting took too long',
  no_healthy_provider: 'no usable server',
  model_loading: 'the model is loading',
  queue_full: 'the queue is full',
  queue_timeout: 'waited too long in the queue',
  upstream_unreachable: 'no server reachable',
  upstream_timeout: 'the server took too long',
  upstream_truncated: 'the answer broke off',
  upstream_auth: "the server rejects the router's key",
  upstream_error: 'the server failed',
  rate_limit_exceeded: 'rate limit reached',
  insufficient_quota: 'budget used up',
  BUDGET: 'budget used up',
  KEY: 'key not accepted',
  context_length_exceeded: 'longer than the context',
  model_not_found: 'unknown model',
  request_too_large: 'request too large',
  deadline_exceeded: 'deadline exceeded',
  overloaded: 'the router is overloaded',
  shutting_down: 'the router shuts down',
  invalid_api_key: 'invalid key',
  missing_api_key: 'no key',
  client_gone: 'the client left',
}
const httpWords = {
  400: 'bad request',
  401: "rejects the router's key",
  403: "denies access with the router's key",
  404: 'not found',
  408: 'timeout',
  413: 'too large',
  429: 'rate limited',
  500: 'internal error',
  502: 'bad gateway',
  503: 'unavailable',
  504: 'gateway timeout',
}

/** An error code in words; the code itself where there are none. */
export function inWords(code) {
  const [, number] = /^HTTP_(\d+)$/.exec(code) ?? []
  if (number) return httpWords[number] ? `answered ${number}, ${httpWords[number]}` : `answered ${number}`
  return codes[code] ?? code.replaceAll('_', ' ')
}

const outcomes = {
  success: ['answered', 'good'],
  client_error: ['rejected', 'warn'],
  error: ['failed', 'bad'],
  failure: ['failed', 'bad'],
  truncated: ['broke off', 'bad'],
  client_gone: ['client left', 'none'],
  cancelled: ['cancelled', 'none'],
}

export function State({ of, note = '' }) {
  const [word, tone] = states[of] ?? outcomes[of] ?? [of, 'none']
  return html`<span class="state"><span class="dot" data-tone=${tone}></span>${word}${note}</span>`
}

/** Opening a target needs more than its state says: why, and for how long. */
export function stateNote({ state, down, retry_in_seconds: seconds }) {
  const why =
    { refused: ', refuses connections', silent: ', checks time out', failing: ', checks fail' }[down] ?? ''
  return `${state === 'down' ? why : ''}${seconds > 0 ? `, again in ${duration(seconds)}` : ''}`
}

/** Whether a person should look at it. */
export function isTroubled({ state }) {
  return state !== 'up' && state !== 'parked'
}

// Pieces

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

/** A table that scrolls on its own where it is too wide; also by keyboard. */
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

/** Tabs with arrow keys, as the ARIA practices have them. */
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

/** A dialog over the page; the browser keeps the focus in it and closes it with Escape. */
export function Dialog({ title, kind = 'question', onClose, children }) {
  const dialog = useRef()
  const id = useId()
  // Before the page is drawn: the first key that somebody types must meet the dialog open.
  useLayoutEffect(() => {
    const { current } = dialog
    const before = document.activeElement
    current.showModal()
    return () => {
      current.close()
      before?.focus?.()
    }
  }, [])
  const outside = ({ target }) => target === dialog.current && onClose()
  return html`<dialog ref=${dialog} class=${kind} aria-labelledby=${id} onMouseDown=${outside}
    onCancel=${(event) => {
      event.preventDefault()
      onClose()
    }}>
    <header><h2 id=${id}>${title}</h2>
      <button type="button" class="ghost icon" aria-label="Close" onClick=${onClose}><${Icon} name="close" /></button>
    </header>
    <div class="body">${children}</div>
  </dialog>`
}

/** Asks before something is done, and says what the router answers if it does not do it. */
export function Question({ title, children, confirm, danger = false, disabled = false, onConfirm, onClose }) {
  const busy = useSignal(false)
  const error = useSignal('')
  const submit = async (event) => {
    event.preventDefault()
    busy.value = true
    error.value = ''
    try {
      await onConfirm(event.currentTarget)
      onClose()
    } catch (thrown) {
      error.value = thrown.message
    } finally {
      busy.value = false
    }
  }
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      ${children}
      <p class="bad" role="alert">${error}</p>
      <div class="actions">
        <button type="button" onClick=${onClose}>Cancel</button>
        <button type="submit" class=${danger ? 'danger' : 'primary'} disabled=${busy.value || disabled}>${confirm}</button>
      </div>
    </form>
  </${Dialog}>`
}

const toasts = signal([])

/** Says for a while that something was done, or was not. */
export function toast(text, tone = 'good') {
  const item = { text, tone }
  toasts.value = [...toasts.value, item]
  setTimeout(() => {
    toasts.value = toasts.value.filter((each) => each !== item)
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
    toast('The browser does not let this page copy: select the text instead.', 'bad')
  }
}

/** Redraws charts, which are pictures, in the colours of the present theme. */
export const theme = signal(document.documentElement.dataset.theme ?? 'auto')
const dark = matchMedia('(prefers-color-scheme: dark)')
const scheme = signal(dark.matches)
dark.addEventListener('change', ({ matches }) => {
  scheme.value = matches
})

/** Formats that round: steps of an axis below one would repeat its numbers. */
const wholeFormats = new Set([whole, compact, ms])
const wholeSteps = Array.from({ length: 10 }, (_, power) =>
  [1, 2, 5].map((each) => each * 10 ** power),
).flat()

/** Lines over time. `series`: label, values and a formatter; `from` and `step` in seconds. */
export function Chart({ title, figure, level = 'h3', ...rest }) {
  const { series, format = whole } = rest
  const highest = series.map(({ label, values }) => `${label}: at most ${format(Math.max(0, ...values))}`)
  return html`<figure class="card chart">
    <figcaption><${level}>${title}</${level}><span class="quiet small">${figure}</span></figcaption>
    <${Plot} key=${`${theme.value} ${scheme.value}`} label=${`${title}. ${highest.join(', ')}`} ...${rest} />
  </figure>`
}

function Plot({ label, series, from, step, format = whole, bars = false }) {
  const [box, keys, plot, latest] = [useRef(), useRef(), useRef(), useRef()]
  const times = series[0].values.map((_value, index) => from + index * step)
  latest.current = [times, ...series.map(({ values }) => values)]
  const hovered = useSignal(undefined)
  useEffect(() => {
    let stopped = false
    let watcher
    void import('uplot').then(({ default: UPlot }) => {
      if (stopped) return
      const colour = (element, name) => getComputedStyle(element)[name]
      const lines = [...keys.current.querySelectorAll('.key')].map((key) => colour(key, 'backgroundColor'))
      const isShort = times.at(-1) - times[0] < 600
      const quiet = colour(keys.current, 'color')
      const grid = colour(box.current, 'borderTopColor')
      const { width, height } = box.current.getBoundingClientRect()
      const axis = { stroke: quiet, font: '11px system-ui, sans-serif', ticks: { show: false } }
      const label = (at) => timeLabel(at, step, isShort ? '2-digit' : undefined)
      // Half of the last label is beside the plot. One character is about six and a half pixels wide.
      const labelWidth = label(times.at(-1)).length * 6.5
      const options = {
        width,
        height,
        legend: { show: false },
        padding: [8, Math.ceil(labelWidth / 2), 0, 0],
        cursor: { drag: { setScale: false, x: false, y: false }, points: { size: 6 } },
        scales: { y: { range: (_u, _low, high) => [0, high > 0 ? high * 1.1 : 1] } },
        axes: [
          {
            ...axis,
            grid: { show: false },
            size: 22,
            space: labelWidth + 16,
            values: (_u, all) => all.map(label),
          },
          {
            ...axis,
            grid: { stroke: grid, width: 1 },
            size: 52,
            space: 30,
            ...(wholeFormats.has(format) && { incrs: wholeSteps }),
            values: (_u, all) => all.map((each) => format(each)),
          },
        ],
        series: [
          {},
          ...lines.map((stroke, index) => ({
            stroke,
            width: 1.5,
            points: { size: 4, fill: stroke, filter: isolated },
            ...(index === 0 && { fill: stroke.replace(/^rgb\((.+)\)$/, 'rgba($1, 0.1)') }),
            ...(bars && { paths: UPlot.paths.bars({ size: [0.7, 40] }), fill: stroke }),
          })),
        ],
        hooks: {
          setCursor: [
            ({ cursor: { idx } }) => {
              hovered.value = idx ?? undefined
            },
          ],
        },
      }
      plot.current = new UPlot(options, latest.current, box.current)
      watcher = new ResizeObserver(([{ contentRect }]) =>
        plot.current.setSize({ width: contentRect.width, height }),
      )
      watcher.observe(box.current)
    })
    return () => {
      stopped = true
      watcher?.disconnect()
      plot.current?.destroy()
      plot.current = undefined
    }
  }, [])
  useEffect(() => plot.current?.setData(latest.current))
  const at = hovered.value
  return html`<div class="plot" ref=${box} role="img" aria-label=${label}></div>
    <div class="legend" ref=${keys}>
      ${series.map(
        (
          { label: name, values },
          index,
        ) => html`<span key=${name}><span class=${`key key-${index + 1}`}></span>
          ${name}${at === undefined ? '' : ` ${values[at] === null || values[at] === undefined ? none : format(values[at])}`}</span>`,
      )}
      ${at !== undefined && html`<span>${timeLabel(times[at], step, '2-digit')}</span>`}
    </div>`
}

/** Values without a neighbour, which no line shows. */
function isolated({ data }, index) {
  const has = (value) => value !== null && value !== undefined
  return data[index].flatMap((value, at, all) =>
    has(value) && !has(all[at - 1]) && !has(all[at + 1]) ? [at] : [],
  )
}

function timeLabel(seconds, step, second) {
  const date = new Date(seconds * 1000)
  if (step >= 86_400) return day(date)
  return date.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit', second })
}
