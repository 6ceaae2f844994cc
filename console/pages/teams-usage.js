/** Budgets and what is left of them, and usage over time. */

import { signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import {
  Card,
  Chart,
  compact,
  day,
  Empty,
  failures,
  html,
  Meter,
  Notice,
  percent,
  plural,
  Segments,
  sum,
  Table,
  whole,
} from '../kit.js'
import { api, apiRoot } from '../live.js'
import { AdminButton } from './teams-forms.js'

const units = { tokens: 'tokens', cost: 'cost', gpu_seconds: 'busy seconds', requests: 'requests' }

const amount = (value) => {
  if (value >= 100) return compact(value)
  const digits = value < 1 ? 10_000 : 100
  return String(Math.round(value * digits) / digits)
}

export function Budgets({ ask, data: { budgets } }) {
  const end = html`<${AdminButton} class="primary" id="new-budget" onClick=${() => ask('edit', { entity: 'budgets' })}>New budget</${AdminButton}>`
  return html`<${Card} title=${plural(budgets.length, 'budget')} end=${end}>${
    budgets.length === 0
      ? html`<${Empty}>No budgets yet. A budget limits what a client or a group spends in a window.</${Empty}>`
      : html`<${Table} label="Budgets" head=${['Budget', ['For', 'narrow-hidden'], 'Used', ['Remaining in the window', 'medium-only'], ['At the current rate', 'narrow-hidden'], ['When used up', 'wide-only'], ['', 'number medium-only']]}>
        <tbody>${budgets.map((budget) => html`<${Budget} key=${budget.id} budget=${budget} ask=${ask} />`)}</tbody></${Table}>`
  }</${Card}>`
}

function Budget({ budget, ask }) {
  const { id, client, group, model, unit, limit, window, hours, hard, enabled, spent } = budget
  const words = `${amount(spent)} of ${amount(limit)} ${units[unit]}`
  const resets = resetText(budget)
  return html`<tr><th scope="row"><span class="cut">${id}</span>${enabled === false && html` <span class="quiet small">disabled</span>`}
      <span class="narrow-only quiet small">${group ?? client}</span></th>
    <td class="narrow-hidden">${group ? `group ${group}` : client}${model && html` <span class="quiet small">${model}</span>`}</td>
    <td><span class="nowrap"><${Meter} share=${spent / limit} label=${`${words}, ${percent(spent / limit)}`} />${percent(spent / limit)}</span>
      <span class="why">${words} per ${window === 'rolling' ? `${hours} h` : window}</span>
      <span class="why narrow-only">${paceText(budget)}; ${resets}</span></td>
    <td class="medium-only"><${BurnDown} budget=${budget} /></td>
    <td class="narrow-hidden nowrap"><span class=${isTooFast(budget) ? 'bad' : ''}>${paceText(budget)}</span><span class="why">${resets}</span></td>
    <td class="wide-only">${hard === false ? 'warns' : 'rejects'}</td>
    <td class="number medium-only"><${AdminButton} class="ghost" aria-label=${`Edit ${id}`} onClick=${() => ask('edit', { entity: 'budgets', record: budget })}>Edit</${AdminButton}>
      <${AdminButton} class="ghost" aria-label=${`Remove ${id}`} onClick=${() => ask('remove', { entity: 'budgets', id })}>Remove</${AdminButton}></td></tr>`
}

const isTooFast = ({ used_up_at: at, left }) => at !== null || left === 0

function paceText({ limit, left, projected, used_up_at: at, window }) {
  if (left === 0) return 'used up'
  if (at !== null) return `used up ${soon(at)}`
  const share = projected / limit
  const words = share > 0 && share < 0.01 ? 'less than 1 %' : percent(share)
  return window === 'rolling' ? `${words} of the window` : `${words} by the end`
}

function resetText({ window, left, resets_at: at }) {
  return window === 'rolling' && left > 0 ? 'gradually' : `resets ${soon(at)}`
}

/** A moment in the future: the time, and its day unless that is today. */
function soon(at) {
  const date = new Date(at)
  if (date.getTime() - Date.now() < 60_000) return 'within a minute'
  const time = date.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' })
  return date.toDateString() === new Date().toDateString() ? `at ${time}` : `${day(date)}, ${time}`
}

const chart = { width: 150, height: 36 }

/** What is left, from the start of the window until now, then projected at the current rate. The pale line is an even pace. */
function BurnDown({ budget }) {
  const { id, limit, left, steps, step_seconds: step, projected, window } = budget
  const [from, to] = [Date.parse(budget.window_start), Date.parse(budget.window_end)]
  const now = Math.min(to, Math.max(from, Date.now()))
  const x = (at) => (((at - from) / (to - from)) * chart.width).toFixed(1)
  const y = (rest) => (1 + (1 - Math.max(0, rest) / limit) * (chart.height - 2)).toFixed(1)
  let rest = limit
  const points = [`${x(from)},${y(limit)}`]
  for (const [index, spent] of steps.entries()) {
    rest -= spent
    points.push(`${x(Math.min(now, from + (index + 1) * step * 1000))},${y(rest)}`)
  }
  const usedUp = budget.used_up_at && Date.parse(budget.used_up_at)
  const ahead = usedUp ? [usedUp, 0] : [to, limit - projected]
  return html`<svg class="burn" viewBox=${`0 0 ${chart.width} ${chart.height}`} data-tone=${isTooFast(budget) ? 'bad' : undefined} role="img"
    aria-label=${`${id}: ${percent(left / limit)} left, ${paceText(budget)}, ${resetText(budget)}`}>
    <line class="even" x1="0" y1=${y(limit)} x2=${chart.width} y2=${y(0)} />
    <line class="floor" x1="0" y1=${y(0)} x2=${chart.width} y2=${y(0)} />
    ${window !== 'rolling' && left > 0 && html`<line class="ahead" x1=${x(now)} y1=${y(left)} x2=${x(ahead[0])} y2=${y(ahead[1])} />`}
    <polyline points=${points.join(' ')} />
    <circle cx=${x(now)} cy=${y(left)} r="2.5" /></svg>`
}

const question = signal({ by: 'client', days: '30', measure: 'tokens' })
const usage = signal()
const problem = signal('')

const measures = {
  tokens: ['Tokens', (line) => line.prompt_tokens + line.completion_tokens],
  requests: ['Requests', (line) => line.requests],
  cost: ['Cost', (line) => line.cost],
  busy: ['Busy seconds', (line) => line.busy_seconds],
}

function queryOf({ by, days }, more) {
  const from = new Date(Date.now() - (Number(days) - 1) * 86_400_000).toISOString().slice(0, 10)
  return new URLSearchParams({ from, by, bucket: bucketOf(days), ...more })
}
const bucketOf = (days) => (days === '1' ? 'hour' : 'day')

async function readUsage() {
  try {
    usage.value = await api(`admin/usage?${queryOf(question.value)}`)
    problem.value = ''
  } catch ({ message }) {
    problem.value = message
  }
}

export function Usage() {
  useEffect(() => void readUsage(), [])
  const { by, days, measure } = question.value
  const change = (more) => {
    question.value = { ...question.value, ...more }
    void readUsage()
  }
  const data = usage.value
  return html`<div class="row apart"><span class="filters">
      <${Segments} label="By" value=${by} options=${[['client', 'Client'], ['group', 'Group'], ['model', 'Model'], ['target', 'Target'], ['key', 'Key']]} onChange=${(key) => change({ by: key })} />
      <${Segments} label="Days" value=${days} options=${[['1', 'Today'], ['7', '7 days'], ['30', '30 days'], ['90', '90 days']]} onChange=${(key) => change({ days: key })} />
      <${Segments} label="Measure" value=${measure} options=${Object.entries(measures).map(([key, [name]]) => [key, name])} onChange=${(key) => change({ measure: key })} /></span>
      <a class="button" id="csv" download="usage.csv" href=${`${apiRoot}admin/usage?${queryOf(question.value, { format: 'csv' })}`}>CSV</a></div>
    ${problem.value !== '' && html`<${Notice} tone="bad">${problem.value}</${Notice}>`}
    ${data ? html`<${Report} data=${data} by=${by} measure=${measure} days=${days} />` : problem.value === '' && html`<${Empty}>Loading ...</${Empty}>`}`
}

const oneDigit = new Intl.NumberFormat(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 })

/** More lines in one chart cannot be told apart. */
const shownLines = 5

function Report({ data: { data: lines, from, to }, by, measure, days }) {
  if (lines.length === 0) return html`<${Empty}>No usage in this period.</${Empty}>`
  const [name, of] = measures[measure]
  const groups = Map.groupBy(lines, (line) => line[by] || '(none)')
  const rows = [...groups]
    .map(([key, all]) => ({ key, all, total: totalOf(all) }))
    .toSorted((one, other) => of(other.total) - of(one.total))
  const step = bucketOf(days) === 'hour' ? 3_600 : 86_400
  // A day starts at midnight in the time zone of the router, which is known only from the data.
  const first = Date.parse(lines[0].period ?? from) / 1000
  const start = first - Math.max(0, Math.ceil((first - Date.parse(from) / 1000) / step)) * step
  const count = Math.max(2, Math.ceil((Date.parse(to) / 1000 - start) / step))
  const along = (all) => {
    const values = Array(count).fill(0)
    for (const line of all) {
      const at = Math.min(count - 1, Math.max(0, Math.round((Date.parse(line.period) / 1000 - start) / step)))
      values[at] += of(line)
    }
    return values
  }
  const top = rows.slice(0, shownLines).map(({ key, all }) => ({ label: key, values: along(all) }))
  const rest = rows.slice(shownLines).flatMap(({ all }) => all)
  const series =
    rest.length === 0 ? top : [...top, { label: `${rows.length - shownLines} others`, values: along(rest) }]
  const all = totalOf(lines)
  const digits = all.cost < 10 ? 4 : 2
  const cost = new Intl.NumberFormat(undefined, {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  })
  return html`<${Chart} key=${`${by} ${days} ${measure} ${series.map(({ label }) => label)}`} level="h2" title=${`${name} per ${step === 3_600 ? 'hour' : 'day'}`} figure=${`${amount(of(all))} in all since ${day(from)}`} series=${series} from=${start} step=${step} format=${amount} />
    <section class="card" aria-label="Usage in numbers"><${Table} label=${`Usage by ${by}`} head=${[by[0].toUpperCase() + by.slice(1), ['Requests', 'number'], ['Failed', 'number narrow-hidden'], ['Prompt', 'number'], ['Cached', 'number wide-only'], ['Completion', 'number'], ['Busy s', 'number wide-only'], ['Cost', 'number narrow-hidden']]}>
      <tbody>${[...rows, { key: 'All', total: all }].map(
        ({
          key,
          total,
        }) => html`<tr key=${key} class=${key === 'All' ? 'total' : undefined}><th scope="row"><span class="cut">${key}</span></th><td class="number">${whole(total.requests)}</td>
          <td class="number narrow-hidden">${failures(total.errors, total.requests)}</td><td class="number">${compact(total.prompt_tokens)}</td>
          <td class="number wide-only">${compact(total.cached_tokens)}</td><td class="number">${compact(total.completion_tokens)}</td>
          <td class="number wide-only">${oneDigit.format(total.busy_seconds)}</td><td class="number narrow-hidden">${cost.format(total.cost)}</td></tr>`,
      )}</tbody></${Table}></section>`
}

const counts = [
  'requests',
  'errors',
  'prompt_tokens',
  'cached_tokens',
  'completion_tokens',
  'busy_seconds',
  'cost',
]
const totalOf = (lines) =>
  Object.fromEntries(counts.map((name) => [name, sum(lines.map((line) => line[name]))]))
