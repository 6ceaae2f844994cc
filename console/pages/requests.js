/** The latest requests, without their content: client, model, target, outcome and times. */

import { computed, signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import {
  Card,
  clock,
  Empty,
  html,
  inWords,
  memo,
  ms,
  Notice,
  none,
  plural,
  rate,
  State,
  Table,
  Time,
  whole,
} from '../kit.js'
import { api, newestRequest, newRequests, pathPart, status, unknownModels } from '../live.js'
import { RequestDrawer, tokens } from './request-drawer.js'

const loaded = signal()
const failure = signal('')
const older = signal()
const follows = signal(true)
/** The new requests at the moment when following was switched off. */
const frozen = signal([])
const find = signal('')
const filter = signal({ model: '', status: '', client: '' })
const opened = signal()

const keptRows = 1_000

/** Filters by status, as in the query of the API. */
const statuses = [
  ['', 'All statuses'],
  ['2xx', 'Answered (2xx)'],
  ['4xx', 'Rejected (4xx)'],
  ['5xx', 'Failed (5xx)'],
  ['429', 'Over a limit (429)'],
]

function matchesFilter({ model, asked, answered_by: fallback, status: code, client }) {
  const { model: modelName, status: codes, client: clientName } = filter.value
  if (modelName !== '' && ![model, asked, fallback].includes(modelName)) return false
  if (clientName !== '' && client !== clientName) return false
  return codes === '' || (codes.endsWith('xx') ? String(code)[0] === codes[0] : String(code) === codes)
}

const rows = computed(() => {
  const known = loaded.value ?? []
  const newest = known[0]?.seq ?? 0
  const fresh = (follows.value ? newRequests.value : frozen.value).filter(
    (each) => each.seq > newest && matchesFilter(each),
  )
  const text = find.value.trim().toLowerCase()
  const all = [...fresh, ...known].slice(0, keptRows)
  if (text === '') return all
  return all.filter(({ id, client, model, asked, target, reason, error, operation }) =>
    [id, client, model, asked, target, reason, error?.code, error?.text, operation].some((each) =>
      each?.toLowerCase().includes(text),
    ),
  )
})

async function load(cursor) {
  const query = new URLSearchParams({ limit: '200' })
  for (const [name, value] of Object.entries(filter.value)) if (value !== '') query.set(name, value)
  if (cursor) query.set('cursor', cursor)
  try {
    const answer = await api(`requests?${query}`)
    loaded.value = cursor ? [...loaded.value, ...answer.data] : answer.data
    older.value = answer.next_cursor
    newestRequest.value ??= answer.newest
    unknownModels.value = answer.unknown_models ?? unknownModels.value
    failure.value = ''
  } catch ({ message }) {
    failure.value = message
  }
}

function change(more) {
  filter.value = { ...filter.value, ...more }
  void load()
}

export default function Requests() {
  useEffect(() => {
    const id = new URLSearchParams(location.search).get('id')
    if (id)
      void api(`requests/${pathPart(id)}`).then(
        (request) => {
          opened.value = request
        },
        ({ message }) => {
          failure.value = message
        },
      )
    void load()
    return () => {
      opened.value = undefined
    }
  }, [])
  return html`<${Filters} />
    ${failure.value !== '' && html`<${Notice} tone="bad">${failure.value}</${Notice}>`}
    <section class="card" aria-label="Requests"><${Rows} /></section>
    <${Unknown} />
    ${
      opened.value &&
      html`<${RequestDrawer} request=${opened.value} onClient=${(client) => change({ client })} onClose=${() => {
        opened.value = undefined
      }} />`
    }`
}

function Filters() {
  const names = (status.value?.models ?? []).map(({ name }) => name)
  const { model, status: code, client } = filter.value
  const toggle = () => {
    frozen.value = newRequests.value
    follows.value = !follows.value
  }
  return html`<div class="row apart">
    <search class="filters">
      <input type="search" id="find" aria-label="Find in the list" placeholder="Find id, client, target, error" autocomplete="off" value=${find.value}
        onInput=${({ currentTarget }) => {
          find.value = currentTarget.value
        }} />
      <select aria-label="Model" id="model" value=${model} onChange=${({ currentTarget }) => change({ model: currentTarget.value })}>
        <option value="">All models</option>${names.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}</select>
      <select aria-label="Status" id="status" value=${code} onChange=${({ currentTarget }) => change({ status: currentTarget.value })}>
        ${statuses.map(([key, text]) => html`<option key=${key} value=${key}>${text}</option>`)}</select>
      ${client !== '' && html`<button type="button" onClick=${() => change({ client: '' })} aria-label=${`Requests of all clients, not only ${client}`}>client ${client} ×</button>`}
    </search>
    <span class="row"><span class="quiet small">${plural(rows.value.length, 'request')}</span>
      <button type="button" id="follow" aria-pressed=${String(follows.value)} onClick=${toggle}>
        <span class="dot" data-tone=${follows.value ? 'good' : 'none'}></span>${follows.value ? 'Following' : 'Follow'}</button></span>
  </div>`
}

function Rows() {
  if (!loaded.value && failure.value === '') return html`<${Empty}>Loading ...</${Empty}>`
  if (rows.value.length === 0)
    return html`<${Empty}>No matching requests yet. The router keeps the last 1,000 requests of all its processes, without prompts and responses.</${Empty}>`
  const head = [
    'Time',
    ['Client', 'narrow-hidden'],
    'Model',
    ['Target', 'medium-only'],
    'Outcome',
    ['Queue', 'number wide-only'],
    ['First token', 'number narrow-hidden'],
    ['Tokens', 'number medium-only'],
    ['Tokens/s', 'number wide-only'],
    ['Duration', 'number narrow-hidden'],
    ['Attempts', 'number wide-only'],
  ]
  return html`<${Table} label="Requests, the latest first" head=${head}><tbody>${rows.value.map(
    (request) => html`<${Row} key=${request.seq} request=${request} />`,
  )}</tbody></${Table}>
  ${older.value && html`<p class="empty"><button type="button" onClick=${() => void load(older.value)}>Older requests</button></p>`}`
}

const Row = memo(({ request }) => {
  const {
    at,
    client,
    model,
    asked: unknownModel,
    answered_by: fallback,
    target,
    reason,
    queue_ms: queue,
    ttft_ms: ttft,
    status: code,
    outcome,
    error,
    attempts,
  } = request
  const open = () => {
    opened.value = request
  }
  const rowClick = ({ target: clicked }) => clicked.closest('button, a') === null && open()
  return html`<tr class="link" onClick=${rowClick}>
    <th scope="row" class="nowrap"><button type="button" class="plain" onClick=${open} aria-label=${`Request at ${clock(at)}`}>${clock(at)}</button></th>
    <td class="narrow-hidden"><span class="cut">${client ?? none}</span></td>
    <td><span class="cut">${model ?? unknownModel ?? none}</span>
      <span class="quiet small narrow-only">${[client, target].filter(Boolean).join(' → ')}</span>${fallback && html`<span class="quiet small">answered by ${fallback}</span>`}</td>
    <td class="medium-only" title=${reason ?? ''}><span class="cut">${target ?? none}</span></td>
    <td><${State} of=${outcome} />${outcome !== 'success' && html` <span class="quiet small outcome">${error ? inWords(error.code) : code}</span>`}</td>
    <td class="number wide-only">${queue > 0 ? ms(queue) : none}</td>
    <td class="number narrow-hidden">${ms(ttft)}</td>
    <td class="number medium-only">${tokens(request)}</td>
    <td class="number wide-only">${rate(request.tokens_per_second)}</td>
    <td class="number narrow-hidden">${ms(request.duration_ms)}</td>
    <td class="number wide-only">${attempts.length}</td>
  </tr>`
})

function Unknown() {
  const names = unknownModels.value
  if (names.length === 0) return null
  const head = [
    'Model',
    ['Times', 'number'],
    ['Clients', 'narrow-hidden'],
    ['Last', 'narrow-hidden'],
    'Similar model',
  ]
  return html`<${Card} title="Unknown models" id="unknown" end=${html`<span class="quiet small">requested by clients, but not available</span>`}>
    <${Table} label="Unknown models that clients request" head=${head}><tbody>${names.map(
      ({ name, count, clients, last, exists, did_you_mean: meant }) => html`<tr key=${name}>
        <th scope="row"><span class="cut">${name}</span></th><td class="number">${whole(count)}</td>
        <td class="narrow-hidden">${clients.length === 0 ? none : clients.join(', ')}</td><td class="narrow-hidden"><${Time} at=${last} /></td>
        <td>${exists ? 'exists, but this client may not use it' : (meant ?? none)}</td></tr>`,
    )}</tbody></${Table}></${Card}>`
}
