/**
 * Draws the status of the router, live. Every text goes in as text, never as markup: names come from people.
 * The form of the events is StatusSchema in src/sdk/status.ts.
 */

import { clock, duration, element, keyed, milliseconds, setText, sum } from './parts.js'

const stateWords = {
  ready: 'all well',
  degraded: 'degraded',
  unusable: 'nothing usable',
  draining: 'shutting down',
  up: 'up',
  trial: 'on trial',
  busy: 'busy',
  loading: 'loading',
  hung: 'hung',
  asleep: 'asleep',
  misconfigured: 'misconfigured',
  open: 'kept out',
  down: 'down',
  drained: 'drained',
  parked: 'parked',
  silent: 'does not answer',
}
const downWords = {
  refused: ', refuses connections',
  silent: ', health checks time out',
  failing: ', health checks fail',
}
/** About one event comes in a second. */
const keptSamples = 240

const at = (id) => document.getElementById(id)
const samples = []
/** State by model and server, to tell what has changed. */
const states = new Map()
let latest
let paused = false

keepTableRoles()
watch(document.body.dataset.events)
at('pause').addEventListener('click', () => {
  paused = !paused
  at('pause').setAttribute('aria-pressed', String(paused))
  if (!paused && latest) draw(latest)
})
at('filter').addEventListener('input', () => latest && drawServers(latest.models))

/** Some browsers forget what a table is when narrow screens show its rows as blocks. */
function keepTableRoles() {
  const roles = { table: 'table', thead: 'rowgroup', tbody: 'rowgroup', tr: 'row', th: 'columnheader' }
  for (const [name, role] of Object.entries(roles)) {
    for (const part of document.querySelectorAll(`table ${name}, ${name}:is(table)`))
      part.setAttribute('role', role)
  }
}

/** EventSource connects again by itself, but not after an answer that is no stream. */
function watch(path) {
  const source = new EventSource(path)
  source.addEventListener('message', ({ data }) => {
    latest = JSON.parse(data)
    connection('live')
    if (!paused) draw(latest)
  })
  source.addEventListener('error', () => {
    connection('no connection, trying again', true)
    if (source.readyState !== EventSource.CLOSED) return
    setTimeout(() => watch(path), 3000)
  })
}

function connection(words, isLost = false) {
  const element = at('connection')
  if (element.textContent === words) return
  element.textContent = words
  element.toggleAttribute('data-lost', isLost)
  announce([isLost ? 'The connection to the router is lost.' : 'The page is live.'])
}

function draw(status) {
  const worker = status.worker === 0 ? '' : `, processes: ${status.workers.length}`
  setBadge(at('router-state'), status.state)
  setText(
    at('about'),
    `version ${status.version}, up for ${duration(status.uptime_seconds)}${worker}${refused(status.config.failed)}`,
  )
  drawOverview(status)
  drawServers(status.models)
  drawFailures(status.failures)
  drawProcesses(status)
  announce(changesOf(status.models))
}

/** Changed files that could not be taken: what is in use is older than they are. */
function refused(failed) {
  return failed.map(({ setting }) => `; what ${setting} names is invalid, see the log`).join('')
}

function drawOverview({ models, requests }) {
  const targets = models.flatMap((model) => model.targets).filter(({ state }) => state !== 'parked')
  const up = targets.filter(({ state }) => state === 'up').length
  const inFlight = sum(targets.map((target) => target.in_flight))
  samples.push(inFlight)
  if (samples.length > keptSamples) samples.shift()
  const highest = Math.max(1, ...samples)
  const points = samples.map(
    (value, index) => `${keptSamples - samples.length + index},${38 - (36 * value) / highest}`,
  )
  at('activity').querySelector('polyline').setAttribute('points', points.join(' '))
  setText(at('activity-title'), `Requests in flight: ${inFlight} now, ${Math.max(...samples)} at most`)
  const tiles = [
    ['Servers up', `${up} of ${targets.length}`, up < targets.length],
    ['In flight', inFlight],
    ['Waiting', sum(models.map(({ waiting }) => waiting))],
    ['Requests a minute', requests.per_minute],
    ['Failed in the last minute', requests.failed_per_minute, requests.failed_per_minute > 0],
    ['Finished since the start', requests.finished],
    ['Failed since the start', requests.failed],
  ]
  const list = keyed(
    at('overview'),
    tiles,
    ([label]) => label,
    () => element('div', {}, element('dt'), element('dd')),
  )
  list.forEach((tile, index) => {
    const [label, value, alarm = false] = tiles[index]
    setText(tile.children[0], label)
    setText(tile.children[1], String(value))
    tile.toggleAttribute('data-alarm', alarm)
  })
}

function drawServers(models) {
  const words = at('find').value.trim().toLowerCase()
  const onlyTroubled = at('troubled').checked
  const wanted = (model, target) =>
    (!onlyTroubled || isTroubled(target)) &&
    [model.name, target.id, target.type].some((text) => text.toLowerCase().includes(words))
  const shown = models
    .map((model) => ({ ...model, targets: model.targets.filter((target) => wanted(model, target)) }))
    .filter(
      ({ targets, name }) => targets.length > 0 || (!onlyTroubled && name.toLowerCase().includes(words)),
    )
  const bodies = keyed(at('servers'), shown, ({ name }) => name, newModel)
  for (const [index, body] of bodies.entries()) drawModel(body, shown[index])
  at('no-servers').hidden = shown.length > 0
}

function newModel() {
  const title = element(
    'th',
    { role: 'rowheader', scope: 'rowgroup', colspan: '10' },
    element('span'),
    element('span', { class: 'quiet' }),
  )
  return element('tbody', { role: 'rowgroup' }, element('tr', { role: 'row', class: 'group' }, title))
}

function drawModel(body, { name, strategy, waiting, panic, targets }) {
  const [title, about] = body.querySelector('.group th').children
  setText(title, name)
  setText(
    about,
    [
      strategy,
      ...(waiting > 0 ? [`${waiting} waiting`] : []),
      ...(panic ? ['panic mode: all servers are down, those that only time out are used'] : []),
      ...(targets.length === 0 ? ['no servers'] : []),
    ].join(', '),
  )
  const rows = keyed(body, targets, ({ id }) => id, newTarget)
  for (const [index, row] of rows.entries()) drawTarget(row, targets[index])
}

function newTarget() {
  const labels = [
    'State',
    'In flight',
    'Requests a minute',
    'First content',
    'Tokens a second',
    'Failures',
    'Weight',
    'Uses',
    'Last error',
  ]
  const cells = labels.map((label, index) =>
    element('td', { role: 'cell', 'data-label': label, class: index > 0 && index < 8 ? 'number' : '' }),
  )
  cells[0].append(element('span', { class: 'badge' }))
  return element('tr', { role: 'row' }, element('th', { role: 'rowheader', scope: 'row' }), ...cells)
}

function drawTarget(row, target) {
  const [head, state, ...cells] = row.children
  const retry = target.retry_in_seconds > 0 ? `, again in ${duration(target.retry_in_seconds)}` : ''
  const [error] = target.last_errors
  const texts = [
    inFlightOf(target),
    target.requests_per_minute,
    target.first_content_ms === undefined ? '–' : milliseconds(target.first_content_ms),
    target.tokens_per_second ?? '–',
    `${Math.round(target.failure_rate * 100)} %`,
    Math.round(target.weight * 100) / 100,
    target.uses,
    error ? `${error.code}, ${clock(error.at)}` : '',
  ]
  setText(head, target.type === '' ? target.id : `${target.id} (${target.type})`)
  setBadge(state.children[0], target.state, (downWords[target.down] ?? '') + retry)
  for (const [index, cell] of cells.entries()) setText(cell, String(texts[index]))
  cells[4].toggleAttribute('data-alarm', target.failure_rate >= 0.1)
  cells[7].title = target.last_errors.map(({ at: when, code }) => `${clock(when)} ${code}`).join('\n')
}

/** With what the engine itself says: others may use it too. */
function inFlightOf({ in_flight: inFlight, places, engine = {} }) {
  const { running, waiting } = engine
  const own = places === undefined ? inFlight : `${inFlight} of ${places}`
  if (running === undefined) return own
  return `${own} (engine: ${running}${waiting ? ` + ${waiting} waiting` : ''})`
}

function drawFailures(failures) {
  const rows = keyed(
    at('failures').tBodies[0],
    failures,
    (_failure, index) => String(index),
    () => {
      const cells = ['When', 'Model', 'Server', 'Status', 'Cause'].map((label, index) =>
        element('td', { role: 'cell', 'data-label': label, class: index === 3 ? 'number' : '' }),
      )
      return element('tr', { role: 'row' }, ...cells)
    },
  )
  rows.forEach((row, index) => {
    const { at: when, model, target = '', status, outcome, code } = failures[index]
    const cause = outcome === 'truncated' ? `${code}, in the middle of the answer` : code
    const texts = [clock(when), model, target, status, cause]
    for (const [cell, text] of texts.entries()) setText(row.children[cell], String(text))
  })
  at('failures').hidden = failures.length === 0
  at('no-failures').hidden = failures.length > 0
}

/** Of a single one all is said elsewhere. */
function drawProcesses({ workers, worker }) {
  at('processes-section').hidden = worker === 0
  if (worker === 0) return
  const rows = keyed(
    at('processes').tBodies[0],
    workers,
    ({ pid }) => pid,
    () => {
      const labels = ['State', 'Up for', 'In flight', 'Waiting', 'Finished', 'Failed', 'Memory']
      const cells = labels.map((label, index) =>
        element('td', { role: 'cell', 'data-label': label, class: index > 0 ? 'number' : '' }),
      )
      cells[0].append(element('span', { class: 'badge' }))
      return element('tr', { role: 'row' }, element('th', { role: 'rowheader', scope: 'row' }), ...cells)
    },
  )
  rows.forEach((row, index) => {
    const each = workers[index]
    const [head, state, ...cells] = row.children
    setText(head, `${each.worker} (pid ${each.pid})`)
    setBadge(state.children[0], each.state)
    const texts = [
      duration(each.uptime_seconds),
      each.in_flight,
      each.waiting,
      each.finished,
      each.failed,
      `${Math.round(each.memory_bytes / 1024 / 1024)} MiB`,
    ]
    for (const [place, cell] of cells.entries()) setText(cell, String(texts[place]))
  })
}

/** What a person who does not see the table should hear; nothing at the first look. */
function changesOf(models) {
  const changes = []
  for (const { name, targets } of models) {
    for (const { id, state } of targets) {
      const key = JSON.stringify([name, id])
      const before = states.get(key)
      if (before !== undefined && before !== state) changes.push(`${id} of ${name} is ${stateWords[state]}.`)
      states.set(key, state)
    }
  }
  return changes
}

function announce(sentences) {
  if (sentences.length > 0) at('announcement').textContent = sentences.join(' ')
}

function isTroubled({ state, failure_rate: rate }) {
  return (state !== 'up' && state !== 'parked') || rate >= 0.1
}

function setBadge(badge, state, note = '') {
  badge.dataset.state = state
  setText(badge, (stateWords[state] ?? state) + note)
}
