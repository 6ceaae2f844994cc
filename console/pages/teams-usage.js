/** Budgets with what is left of them, and usage over time. */

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
  none,
  percent,
  plural,
  Segments,
  sum,
  Table,
  Time,
  whole,
} from '../kit.js'
import { api, apiRoot } from '../live.js'
import { AdminButton } from './teams-forms.js'

const units = { tokens: 'tokens', cost: 'cost', gpu_seconds: 'busy seconds', requests: 'requests' }

/** What was spent by a line of usage, in the unit of a budget. */
const spentBy = {
  tokens: (line) => line.prompt_tokens + line.completion_tokens,
  cost: (line) => line.cost,
  gpu_seconds: (line) => line.busy_seconds,
  requests: (line) => line.requests,
}

const amount = (value) => {
  if (value >= 100) return compact(value)
  const digits = value < 1 ? 10_000 : 100
  return String(Math.round(value * digits) / digits)
}

/** Where the present window begins, as far as this browser can tell where the router does not. */
function windowStart({ window, hours, window_start: known }) {
  if (known) return new Date(known)
  const now = new Date()
  if (window === 'rolling') return new Date(now.getTime() - hours * 3_600_000)
  now.setHours(0, 0, 0, 0)
  if (window === 'month') now.setDate(1)
  if (window === 'week') now.setDate(now.getDate() - ((now.getDay() + 6) % 7))
  return now
}

/** Usage of each budget since its window began, by its id. */
const burnt = signal({})

async function readBurnt(budgets) {
  const read = await Promise.all(
    budgets.map(async (budget) => {
      const { id, client, group, model, unit, window } = budget
      const query = new URLSearchParams({
        from: windowStart(budget).toISOString(),
        bucket: window === 'month' ? 'day' : 'hour',
      })
      for (const [name, value] of Object.entries({ client, group, model })) if (value) query.set(name, value)
      const { data } = await api(`admin/usage?${query}`)
      return [id, data.map((line) => spentBy[unit](line))]
    }),
  ).catch(() => [])
  burnt.value = Object.fromEntries(read)
}

export function Budgets({ ask, data: { budgets } }) {
  useEffect(() => void readBurnt(budgets), [budgets])
  const end = html`<${AdminButton} class="primary" id="new-budget" onClick=${() => ask('edit', { entity: 'budgets' })}>New budget</${AdminButton}>`
  return html`<${Card} title=${plural(budgets.length, 'budget')} end=${end}>${
    budgets.length === 0
      ? html`<${Empty}>No budget yet. A budget limits what a client or a group spends in a window.</${Empty}>`
      : html`<${Table} label="Budgets" head=${['Budget', ['For', 'narrow-hidden'], 'Used', ['Over the window', 'wide-only'], ['When used up', 'wide-only'], ['', 'number narrow-hidden']]}>
        <tbody>${budgets.map((budget) => html`<${Budget} key=${budget.id} budget=${budget} ask=${ask} />`)}</tbody></${Table}>`
  }</${Card}>`
}

function Budget({ budget, ask }) {
  const { id, client, group, model, unit, limit, window, hours, hard, enabled, resets_at: end } = budget
  const steps = burnt.value[id]
  const spent = budget.spent ?? (steps && sum(steps))
  const share = spent === undefined || spent === null ? undefined : spent / limit
  const words = share === undefined ? none : `${amount(spent)} of ${amount(limit)} ${units[unit]}`
  return html`<tr><th scope="row" class="nowrap">${id}${enabled === false && html` <span class="quiet small">disabled</span>`}</th>
    <td class="narrow-hidden">${group ? `group ${group}` : client}${model && html` <span class="quiet small">${model}</span>`}</td>
    <td>${share !== undefined && html`<${Meter} share=${share} label=${`${words}, ${percent(share)}`} /><span class="nowrap">${percent(share)}</span>`}
      <span class="why">${words} per ${window === 'rolling' ? `${hours} h` : window}${end && html`, until <${Time} at=${end} />`}</span></td>
    <td class="wide-only">${steps && html`<${BurnDown} steps=${steps} limit=${limit} id=${id} />`}</td>
    <td class="wide-only">${hard === false ? 'warns' : 'refuses (429)'}</td>
    <td class="number narrow-hidden"><${AdminButton} class="ghost" aria-label=${`Edit ${id}`} onClick=${() => ask('edit', { entity: 'budgets', record: budget })}>Edit</${AdminButton}>
      <${AdminButton} class="ghost" aria-label=${`Remove ${id}`} onClick=${() => ask('remove', { entity: 'budgets', id })}>Remove</${AdminButton}></td></tr>`
}

/** What is left, from the full budget down. */
function BurnDown({ steps, limit, id }) {
  let left = limit
  const values = [limit]
  for (const step of steps) {
    left -= step
    values.push(Math.max(0, left))
  }
  const points = values.map(
    (value, index) => `${(index * 120) / Math.max(1, values.length - 1)},${23 - (22 * value) / limit}`,
  )
  return html`<svg class="spark burn" viewBox="0 0 120 24" preserveAspectRatio="none" role="img" aria-label=${`${id}: ${percent(Math.max(0, left) / limit)} left`}>
    <polyline points=${points.join(' ')} /></svg>`
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
    ${data ? html`<${Shown} data=${data} by=${by} measure=${measure} days=${days} />` : problem.value === '' && html`<${Empty}>Loading ...</${Empty}>`}`
}

/** Lines of a chart that can still be told apart. */
const shownLines = 5

function Shown({ data: { data: lines, from, to }, by, measure, days }) {
  if (lines.length === 0) return html`<${Empty}>No usage in this period.</${Empty}>`
  const [name, of] = measures[measure]
  const groups = Map.groupBy(lines, (line) => line[by] || '(none)')
  const rows = [...groups]
    .map(([key, all]) => ({ key, all, total: totalOf(all) }))
    .toSorted((one, other) => of(other.total) - of(one.total))
  const step = bucketOf(days) === 'hour' ? 3_600 : 86_400
  // Periods begin where days begin for the router, which only the lines tell.
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
  return html`<${Chart} key=${`${by} ${days} ${measure} ${series.map(({ label }) => label)}`} level="h2" title=${`${name} per ${step === 3_600 ? 'hour' : 'day'}`} figure=${`${amount(of(all))} in all since ${day(from)}`} series=${series} from=${start} step=${step} format=${amount} />
    <section class="card" aria-label="Usage in numbers"><${Table} label=${`Usage by ${by}`} head=${[by[0].toUpperCase() + by.slice(1), ['Requests', 'number'], ['Failed', 'number narrow-hidden'], ['Prompt', 'number medium-only'], ['Cached', 'number wide-only'], ['Answer', 'number medium-only'], ['Busy s', 'number wide-only'], ['Cost', 'number narrow-hidden']]}>
      <tbody>${[...rows, { key: 'All', total: all }].map(
        ({
          key,
          total,
        }) => html`<tr key=${key}><th scope="row"><span class="cut">${key}</span></th><td class="number">${whole(total.requests)}</td>
          <td class="number narrow-hidden">${failures(total.errors, total.requests)}</td><td class="number medium-only">${compact(total.prompt_tokens)}</td>
          <td class="number wide-only">${compact(total.cached_tokens)}</td><td class="number medium-only">${compact(total.completion_tokens)}</td>
          <td class="number wide-only">${amount(total.busy_seconds)}</td><td class="number narrow-hidden">${amount(total.cost)}</td></tr>`,
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
