/** The state of the router: key figures, current problems, worst first, and charts. */

import { computed } from '@preact/signals'
import {
  Card,
  Chart,
  compact,
  duration,
  Empty,
  failures,
  html,
  isTroubled,
  ms,
  Notice,
  plural,
  Segments,
  sum,
  Time,
  whole,
} from '../kit.js'
import {
  apiRoot,
  connection,
  history,
  historySeries,
  problems,
  range,
  setRange,
  status,
  uiRoot,
  uptime,
} from '../live.js'

const tones = { critical: 'bad', error: 'bad', warning: 'warn', info: 'info' }
const severities = { critical: 'critical', error: 'error', warning: 'warning', info: 'note' }

export default function Overview() {
  const now = status.value
  if (!now)
    return html`<${Empty}>${connection.value === 'lost' ? 'No connection to the router.' : 'Loading ...'}</${Empty}>`
  return html`<${Tiles} now=${now} /><${Problems} /><${Charts} /><${Links} now=${now} />`
}

function Tiles({ now: { models, requests, workers } }) {
  const { totals, completion_tokens: tokens = [], step_seconds: step } = history.value ?? {}
  const targets = models.flatMap((model) => model.targets).filter(({ state }) => state !== 'standby')
  const well = targets.filter((target) => !isTroubled(target)).length
  const inFlight = sum(targets.map((target) => target.in_flight))
  const waiting = sum(models.map((model) => model.waiting))
  // The last step has not ended yet.
  const recent = tokens.slice(-7, -1).filter((each) => each !== null)
  const speed = recent.length === 0 ? undefined : sum(recent) / (recent.length * step)
  const span = spans[range.value]
  const tiles = [
    ['Requests/min', whole(requests.per_minute), `${compact(requests.finished)} since the start`],
    [
      'Output tokens/s',
      speed === undefined ? '–' : compact(speed),
      totals && `${compact(totals.completion_tokens)} out, ${compact(totals.prompt_tokens)} in`,
    ],
    ['Time to first token', ms(totals?.ttft_p50_ms), `median; p95 ${ms(totals?.ttft_p95_ms)} in ${span}`],
    [
      'Failed',
      totals ? failures(totals.errors, totals.requests) : '–',
      totals && `${whole(totals.client_errors)} rejected in ${span}`,
    ],
    [
      'In flight',
      html`${whole(inFlight)} <small>${waiting > 0 ? `+ ${whole(waiting)} waiting` : ''}</small>`,
      workers.length > 1 ? `in ${workers.length} processes` : 'at servers now',
    ],
    ['Targets up', html`${well} <small>of ${targets.length}</small>`, `of ${plural(models.length, 'model')}`],
  ]
  return html`<dl class="tiles" id="tiles">${tiles.map(
    ([label, value, note]) =>
      html`<div key=${label}><dt>${label}</dt><dd>${value}<div class="note">${note || '\u00a0'}</div></dd></div>`,
  )}</dl>`
}

const spans = { '15m': '15 min', '1h': '1 h', '6h': '6 h' }

function Problems() {
  const list = problems.value?.problems
  if (!list) return null
  const end = html`<span class="quiet small">${list.length === 0 ? '' : 'worst first'}</span>`
  return html`<${Card} title="Current problems" id="problems" end=${end}>${
    list.length === 0
      ? html`<p class="empty"><span class="state"><span class="dot" data-tone="good"></span>No problems.</span></p>`
      : html`<ul class="problems">${list.slice(0, 50).map(
          ({ id, severity, text, action, since, subject }) => html`<li key=${id}>
            <span class="state"><span class="dot" data-tone=${tones[severity]}></span><span class="small quiet">${severities[severity]}</span></span>
            <span>${text}<span class="action">${action}</span></span>
            <span class="small quiet nowrap">${since && html`since <${Time} at=${since} />`}
              ${
                subject.type === 'target' &&
                html` <a href=${`${uiRoot}/fleet?target=${encodeURIComponent(subject.name)}`}
                aria-label=${`Show ${subject.name} in the fleet`}>Show</a>`
              }</span>
          </li>`,
        )}</ul>${list.length > 50 && html`<p class="empty">and ${plural(list.length - 50, 'other')}</p>`}`
  }</${Card}>`
}

/** Minimum number of steps in a chart. */
const minSteps = 12

/** The history without the time before the router started. */
function sinceStart(data, startedAt) {
  if (!data) return undefined
  const before = Math.floor((Date.parse(startedAt) - Date.parse(data.from)) / (data.step_seconds * 1_000))
  const skipped = Math.min(before, data.requests.length - minSteps)
  if (skipped <= 0) return data
  const from = new Date(Date.parse(data.from) + skipped * data.step_seconds * 1_000).toISOString()
  return {
    ...data,
    from,
    ...Object.fromEntries(historySeries.map((name) => [name, data[name].slice(skipped)])),
  }
}

const startedAt = computed(() => status.value?.started_at)

/** Drawn again for a new history only: the status changes every second. */
function Charts() {
  const data = sinceStart(history.value, startedAt.value)
  const choose = html`<${Segments} label="Range" value=${range.value} onChange=${setRange}
    options=${[['15m', '15 min'], ['1h', '1 h'], ['6h', '6 h']]} />`
  const head = html`<div class="row apart"><h2>Over time</h2>${choose}</div>`
  if (!data)
    return html`<section class="stack" aria-label="Over time">${head}<${Notice}>No history yet.</${Notice}></section>`
  const { step_seconds: step, totals } = data
  const from = Date.parse(data.from) / 1000
  const perMinute = (values) => values.map((value) => (value === null ? null : (value * 60) / step))
  const perSecond = (values) => values.map((value) => (value === null ? null : value / step))
  const common = { from, step }
  const failed = data.errors.map((each, index) => [each, data.client_errors[index], data.client_gone[index]])
  return html`<section class="stack" aria-label="Over time">${head}
    <div class="charts">
      <${Chart} title="Requests/min" figure=${`${whole(totals.requests)} in ${spans[data.range]}`} format=${compact}
        series=${[{ label: 'requests', values: perMinute(data.requests) }]} ...${common} />
      <${Chart} title="Tokens/s" figure=${`${compact(totals.completion_tokens)} out`} format=${compact}
        series=${[{ label: 'output', values: perSecond(data.completion_tokens) }, { label: 'prompt', values: perSecond(data.prompt_tokens) }]} ...${common} />
      <${Chart} title="Time to first token" figure=${`p50 ${ms(totals.ttft_p50_ms)}, p95 ${ms(totals.ttft_p95_ms)}`} format=${ms}
        series=${[{ label: 'p50', values: data.ttft_p50_ms }, { label: 'p95', values: data.ttft_p95_ms }]} ...${common} />
      <${Chart} title="Failed requests" figure=${errorFigure(totals)} format=${compact}
        series=${[
          { label: 'errors', values: failed.map(([each]) => each) },
          { label: 'rejected (4xx)', values: failed.map(([, each]) => each) },
          { label: 'client disconnected', values: failed.map(([, , each]) => each) },
        ]} ...${common} />
      <${Chart} title="In flight" figure="most in each step" format=${compact}
        series=${[{ label: 'at servers', values: data.running }]} ...${common} />
      <${Chart} title="Queue" figure=${`at most ${whole(totals.queue_max)}`} format=${compact}
        series=${[{ label: 'waiting', values: data.queue }]} ...${common} />
    </div></section>`
}

function errorFigure({ errors, requests }) {
  return requests === 0 ? 'no requests' : `${failures(errors, requests)} failed`
}

function Links({ now: { started_at: start, workers, version } }) {
  const memory = sum(workers.map(({ memory_bytes: bytes }) => bytes))
  return html`<p class="row quiet" id="links">
    <a href=${`${apiRoot}docs`}>API documentation</a> <a href=${`${apiRoot}openapi.json`}>OpenAPI</a>
    <a href=${`${apiRoot}metrics`}>Metrics</a> <a href=${`${apiRoot}status`}>Status as JSON</a>
    <span>${`version ${version}, up ${duration(uptime(start))}, ${plural(workers.length, 'process', 'processes')}, ${whole(memory / 1_048_576)} MiB`}</span></p>`
}
