/**
 * What the console knows about the router: from one stream of events (`P/events`) or, if the stream fails, by reading the status
 * every two seconds. Objects that have not changed keep their identity, so a table redraws only the rows that have.
 */

import { batch, computed, signal } from '@preact/signals'

const { dataset } = document.body
/** All addresses are relative to this page, so the console works below any path. */
export const apiRoot = new URL(dataset.api, document.baseURI).href
export const uiRoot = new URL(dataset.ui, document.baseURI).href

export const status = signal()
export const problems = signal()
export const history = signal()
export const range = signal('15m')
export const routers = signal()
/** Requests since the console was opened, newest first. */
export const newRequests = signal([])
/** Number of the latest known request; undefined until the page of requests has been opened. */
export const newestRequest = signal()
export const unknownModels = signal([])
export const asOf = signal()
/** Seconds that something had been running when the router was last heard of. */
export const uptime = (startedAt) => Math.max((asOf.value - new Date(startedAt)) / 1_000, 0)
/** `connecting`, `live`, `polling`, `refused` (needs a key) or `lost`. */
export const connection = signal('connecting')
/** Who is signed in; null: nobody; undefined: not known yet. */
export const me = signal()

/** The series of a history: lists with one value per step. */
export const historySeries = [
  'requests',
  'errors',
  'client_errors',
  'client_gone',
  'prompt_tokens',
  'completion_tokens',
  'ttft_p50_ms',
  'ttft_p95_ms',
  'queue',
  'running',
]

/** Maximum number of requests in `newRequests`. */
const maxNewRequests = 1_000

const ranks = { viewer: 1, operator: 2, admin: 3 }
export const role = computed(() => ranks[me.value?.role] ?? 0)
/** Whether the user has at least this role. */
export const may = (name) => role.value >= ranks[name]

export class ApiError extends Error {
  constructor(message, { status: code = 0, code: word, param } = {}) {
    super(message)
    Object.assign(this, { status: code, code: word, param })
  }
}

/** Calls the API of the router. Throws ApiError with the router's own message. */
export async function api(path, { method = 'GET', body, headers = {}, signal: stop } = {}) {
  const response = await send(path, { method, body, headers, stop })
  if (response.status === 204) return undefined
  return response.json()
}

export async function send(path, { method = 'GET', body, headers = {}, stop } = {}) {
  let response
  try {
    response = await fetch(new URL(path, apiRoot), {
      method,
      headers: {
        accept: 'application/json',
        ...(body && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body && { body: JSON.stringify(body) }),
      ...(stop && { signal: stop }),
    })
  } catch (error) {
    if (error.name === 'AbortError') throw error
    throw new ApiError('The router cannot be reached.')
  }
  if (response.ok) return response
  const answer = await response.json().catch(() => ({}))
  const error = answer.error ?? answer
  const message =
    typeof error === 'string' ? error : (error.detail ?? error.message ?? `HTTP ${response.status}`)
  throw new ApiError(message, { status: response.status, code: error.code, param: error.param })
}

export const pathPart = (name) => name.split('/').map(encodeURIComponent).join('/')

/** Reads who is signed in. If the session has ended, reloading the page shows the sign-in page. */
export async function readSession() {
  const before = me.value
  if (!before && dataset.session === '') {
    me.value = null
    return
  }
  try {
    me.value = await api('session')
  } catch (error) {
    if (error.status === 401 && before) return location.reload()
    if (error.status !== 0) me.value = null
  }
}

export async function signIn(key) {
  me.value = await api('session', { method: 'POST', headers: { authorization: `Bearer ${key}` } })
  watch()
}

export async function signOut() {
  await api('session', { method: 'DELETE' })
  location.reload()
}

let source
let polling
let lastHeard = 0

/** Opens the stream of events, in place of the one that is open. */
export function watch() {
  source?.close()
  source = new EventSource(new URL(`events?range=${range.value}`, apiRoot))
  for (const [name, apply] of Object.entries(events)) {
    source.addEventListener(name, ({ data }) => {
      lastHeard = Date.now()
      stopPolling()
      batch(() => {
        connection.value = 'live'
        apply(JSON.parse(data))
      })
    })
  }
  source.addEventListener('error', () => {
    // EventSource reconnects by itself, unless the response was not a stream.
    if (document.hidden) return
    if (source.readyState === EventSource.CLOSED) setTimeout(watch, 10_000)
    startPolling()
  })
}

/** A browser opens at most six connections per host, so a hidden page closes its stream after 30 s. */
function watchWhileVisible() {
  const stop = () => {
    source?.close()
    stopPolling()
  }
  window.addEventListener('pagehide', stop)
  window.addEventListener('pageshow', ({ persisted }) => persisted && watch())
  let hiding
  document.addEventListener('visibilitychange', () => {
    clearTimeout(hiding)
    if (document.hidden) hiding = setTimeout(stop, 30_000)
    else if (source?.readyState === EventSource.CLOSED) watch()
  })
}

export function startWatching() {
  void readSession()
  watchWhileVisible()
  watch()
  void readRouters()
  setInterval(() => void readRouters(), 15_000)
  setInterval(() => void readActivity(), 15_000)
  setInterval(() => {
    if (!document.hidden && connection.value === 'live' && Date.now() - lastHeard > 15_000) startPolling()
  }, 1_000)
}

export function setRange(name) {
  range.value = name
  history.value = undefined
  watch()
}

async function readRouters() {
  routers.value = await api('routers').catch(() => routers.value)
}

/** Events carry the history of the router as a whole; that of each target has to be read. */
async function readActivity() {
  if (connection.value !== 'live' || document.hidden) return
  const latest = await api(`history?range=${range.value}`).catch(() => undefined)
  if (latest?.range === range.value) history.value = latest
}

function startPolling() {
  polling ??= setInterval(() => void poll(), 2_000)
  void poll()
}

function stopPolling() {
  clearInterval(polling)
  polling = undefined
}

async function poll() {
  try {
    const [latestStatus, latestProblems] = await Promise.all([
      api('status'),
      api('problems').catch(() => problems.value),
    ])
    if (polling === undefined) return
    batch(() => {
      connection.value = 'polling'
      asOf.value = new Date()
      status.value = latestStatus
      problems.value = latestProblems
    })
    history.value = await api(`history?range=${range.value}`)
    if (newestRequest.value !== undefined) {
      const { data, newest, ...rest } = await api(`requests?limit=1000&since=${newestRequest.value}`)
      newestRequest.value = newest
      events.requests({ data, ...rest })
    }
  } catch (error) {
    if (polling === undefined) return
    if (error.status === 401 || error.status === 403) {
      connection.value = 'refused'
      return void readSession()
    }
    if (error.status === 0 || error.status >= 500) connection.value = 'lost'
  }
}

const events = {
  status(snapshot) {
    asOf.value = new Date()
    status.value = snapshot
  },
  delta({ at, ...changes }) {
    asOf.value = new Date(at)
    if (status.value) status.value = merged(status.value, changes)
  },
  problems(list) {
    problems.value = list
  },
  requests({ data, unknown_models: unknown }) {
    if (data.length > 0) newRequests.value = [...data, ...newRequests.value].slice(0, maxNewRequests)
    if (unknown) unknownModels.value = unknown
  },
  history(snapshot) {
    history.value = snapshot
  },
  step(steps) {
    if (history.value) history.value = withSteps(history.value, steps)
  },
  heartbeat({ at }) {
    asOf.value = new Date(at)
  },
  end({ reason }) {
    if (reason === 'session_ended') return location.reload()
    startPolling()
  },
}

/** The status with these changes. Models and targets that did not change stay the same objects. */
export function merged(before, { status: top = {}, models = [], removed = [] }) {
  const changes = new Map(models.map((model) => [model.name, model]))
  const remaining = before.models
    .filter(({ name }) => !removed.includes(name))
    .map((model) => {
      const change = changes.get(model.name)
      changes.delete(model.name)
      return change ? mergedModel(model, change) : model
    })
  return { ...before, ...top, models: [...remaining, ...changes.values()] }
}

function mergedModel(model, { targets = [], removed = [], ...rest }) {
  const changes = new Map(targets.map((target) => [target.id, target]))
  const remaining = model.targets
    .filter(({ id }) => !removed.includes(id))
    .map((target) => {
      const change = changes.get(target.id)
      if (!change) return target
      changes.delete(target.id)
      const { unset = [], ...members } = change
      const next = { ...target, ...members }
      for (const name of unset) delete next[name]
      return next
    })
  return { ...model, ...rest, targets: [...remaining, ...changes.values()] }
}

/** The history with its latest steps replaced. Where new steps have begun, the oldest ones are dropped. */
export function withSteps(before, { from, totals, ...steps }) {
  const stepMs = before.step_seconds * 1000
  const length = before.requests.length
  const at = Math.round((Date.parse(from) - Date.parse(before.from)) / stepMs)
  const moved = Math.max(0, at + steps.requests.length - length)
  const next = { ...before, totals: totals ?? before.totals }
  next.from = new Date(Date.parse(before.from) + moved * stepMs).toISOString()
  for (const name of historySeries) {
    const values = [...before[name].slice(moved), ...Array(moved).fill(null)].slice(-length)
    for (const [index, value] of (steps[name] ?? []).entries()) {
      const step = at - moved + index
      if (step >= 0 && step < length) values[step] = value
    }
    next[name] = values
  }
  return next
}
