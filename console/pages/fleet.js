/** All targets, by server or by model, with their load, their problems and the actions of operators. */

import { computed, signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import {
  Empty,
  failures,
  html,
  isTroubled,
  Meter,
  memo,
  ms,
  none,
  percent,
  plural,
  rate,
  Segments,
  Spark,
  State,
  share,
  stateNote,
  sum,
  Table,
  whole,
} from '../kit.js'
import { history, status } from '../live.js'
import { confirmAction, TargetDrawer } from './fleet-actions.js'

const view = signal('server')
const searchText = signal('')
const onlyTroubled = signal(false)
/** Groups whose healthy targets are shown one by one, although they could be folded. */
const unfolded = signal(new Set())
const opened = signal()

/** A group with more healthy targets folds them into one line. */
const foldFrom = 10
/** In a fleet with more targets, the healthy ones of each model are folded. */
const largeFrom = 40
/** Rows of a group that are shown at first. Each update may redraw all rows that are shown. */
const pageLength = 40
/** The number of rows shown of a group, if the user has asked for more. */
const lengths = signal(new Map())

/** Activity by model and target, over the range that is chosen on the overview. */
const activity = computed(
  () => new Map((history.value?.targets ?? []).map((each) => [`${each.model}\n${each.id}`, each])),
)

const entries = computed(() => {
  const models = status.value?.models ?? []
  const servers = Map.groupBy(
    models.flatMap(({ targets }) => targets),
    ({ server }) => server,
  )
  return models.flatMap((model) =>
    model.targets.map((target) => {
      const isShared = new Set(servers.get(target.server)?.map(({ id }) => id)).size > 1
      return { target, model, server: nameOf(target, isShared) }
    }),
  )
})

/** The name of a target's server: that of the configuration, else the id of its only target, else its host. */
function nameOf({ id, server, host }, isShared) {
  if (id.startsWith(`${server}/`)) return server
  return isShared ? (host ?? server) : id
}

const groups = computed(() => {
  const text = searchText.value.trim().toLowerCase()
  const byModel = view.value === 'model'
  const found = new Map(
    byModel ? (status.value?.models ?? []).map((model) => [model.name, { model, rows: [] }]) : [],
  )
  for (const entry of entries.value) {
    const { target, model, server } = entry
    const texts = [model.name, target.id, target.type, server, target.host ?? '', target.address ?? '']
    const isMatch =
      (!onlyTroubled.value || isTroubled(target)) && texts.some((each) => each.toLowerCase().includes(text))
    const key = byModel ? model.name : ''
    if (!found.has(key)) found.set(key, { rows: [] })
    if (isMatch) found.get(key).rows.push(entry)
  }
  return [...found]
    .map(([name, { model, rows }]) => ({ name, model, rows: byModel ? rows : rows.toSorted(byServer) }))
    .filter(
      ({ name, rows }) =>
        rows.length > 0 || (byModel && !onlyTroubled.value && name.toLowerCase().includes(text)),
    )
})

const byServer = (one, other) => one.server.localeCompare(other.server, undefined, { numeric: true })

export default function Fleet() {
  useEffect(() => {
    const id = new URLSearchParams(location.search).get('target')
    if (id) opened.value = { id }
    return () => {
      opened.value = undefined
    }
  }, [])
  if (!status.value) return html`<${Empty}>Loading ...</${Empty}>`
  return html`<${Filters} />
    <section class="card" aria-label="Targets"><${Targets} /></section>
    <${Opened} />`
}

function Filters() {
  const all = entries.value.map(({ target }) => target)
  const counts = Map.groupBy(all, ({ state }) => state)
  const order = [
    'down',
    'open',
    'misconfigured',
    'hung',
    'busy',
    'trial',
    'loading',
    'asleep',
    'drained',
    'standby',
    'up',
  ]
  return html`<div class="row apart">
    <search class="filters">
      <${Segments} label="Group" value=${view.value} options=${[['server', 'By server'], ['model', 'By model']]} onChange=${(
        key,
      ) => {
        view.value = key
      }} />
      <input type="search" id="find" aria-label="Find a server, model or target" placeholder="Find a server or model" autocomplete="off"
        value=${searchText.value} onInput=${({ currentTarget }) => {
          searchText.value = currentTarget.value
        }} />
      <label class="check"><input type="checkbox" id="troubled" checked=${onlyTroubled.value} onChange=${({
        currentTarget,
      }) => {
        onlyTroubled.value = currentTarget.checked
      }} /> Only with problems</label>
    </search>
    <p class="row small quiet" id="counts">${order
      .filter((state) => counts.has(state))
      .map(
        (state) =>
          html`<span key=${state}><${State} of=${state} note=${` ${counts.get(state).length}`} /></span>`,
      )}</p>
  </div>`
}

function Targets() {
  const byModel = view.value === 'model'
  if (groups.value.length === 0) return html`<${Empty}>No target matches.</${Empty}>`
  const head = [
    byModel ? 'Target' : 'Server',
    'State',
    [byModel ? 'Weight' : 'Model', byModel ? 'number wide-only' : 'narrow-hidden'],
    ['In flight', 'number'],
    ['Queue', 'number medium-only'],
    ['KV cache', 'number medium-only'],
    ['Cache hits', 'number wide-only'],
    ['Tokens/s', 'number narrow-hidden'],
    ['First token', 'number narrow-hidden'],
    ['Failed', 'number medium-only'],
    ['Requests', 'number wide-only'],
  ]
  return html`<${Table} label=${byModel ? 'Targets by model' : 'Targets by server'} head=${head}>
    ${groups.value.map((group) => html`<${Group} key=${`${view.value} ${group.name}`} ...${group} byModel=${byModel} />`)}
  </${Table}>`
}

function Group({ name, model, rows, byModel }) {
  const troubled = rows.filter(({ target }) => isTroubled(target))
  const healthy = rows.filter(({ target }) => !isTroubled(target))
  const key = `${byModel} ${name}`
  const folds =
    searchText.value.trim() === '' &&
    healthy.length > (byModel && entries.value.length > largeFrom ? 1 : foldFrom)
  const isFolded = folds && !unfolded.value.has(key)
  const length = lengths.value.get(key) ?? pageLength
  const all = [...troubled, ...(isFolded ? [] : healthy)]
  const shown = all.slice(0, length)
  const more = () => {
    lengths.value = new Map(lengths.value).set(key, length + pageLength)
  }
  const toggle = () => {
    const next = new Set(unfolded.value)
    if (!next.delete(key)) next.add(key)
    unfolded.value = next
  }
  const known = activity.value
  return html`<tbody>
    ${byModel && html`<${ModelRow} model=${model} count=${rows.length} />`}
    ${shown.map(
      ({
        target,
        model: { name: of },
        server,
      }) => html`<${Row} key=${`${of}\n${target.id}`} target=${target} model=${of} server=${server}
        byModel=${byModel} activity=${known.get(`${of}\n${target.id}`)} />`,
    )}
    ${folds && html`<${Fold} rows=${healthy} isFolded=${isFolded} onToggle=${toggle} />`}
    ${
      all.length > length &&
      html`<tr class="group"><td colspan="11"><span class="row"><span class="quiet">${length} of ${all.length} are shown.</span>
        <button type="button" onClick=${more}>Show ${Math.min(pageLength, all.length - length)} more</button></span></td></tr>`
    }
  </tbody>`
}

function Fold({ rows, isFolded, onToggle }) {
  const targets = rows.map(({ target }) => target)
  const busy = sum(targets.map((target) => target.in_flight))
  return html`<tr class="group"><td colspan="11">
    <span class="row"><span class="state"><span class="dot" data-tone="good"></span>${plural(rows.length, 'healthy target')}</span>
      <span class="quiet">${whole(busy)} in flight, ${whole(sum(targets.map((target) => target.requests_per_minute)))} requests/min</span>
      <button type="button" aria-expanded=${String(!isFolded)} onClick=${onToggle}>${isFolded ? 'Show all' : 'Fold'}</button></span>
  </td></tr>`
}

function ModelRow({ model, count }) {
  const { name, strategy, waiting, panic, refused_per_minute: refused, targets } = model
  return html`<tr class="group"><th scope="rowgroup" colspan="11"><span class="row apart">
    <span class="row"><span>${name}</span><span class="tag">${strategy}</span>
      <span class="quiet small">${plural(count, 'target')}</span>
      ${waiting > 0 && html`<span class="small warn">${whole(waiting)} waiting</span>`}
      ${refused > 0 && html`<span class="small bad">${whole(refused)} rejected in the last minute</span>`}
      ${panic && html`<span class="small bad">all are down; those whose checks only time out are used</span>`}
      ${targets.length === 0 && html`<span class="small bad">no targets</span>`}</span>
    <span class="row narrow-hidden">
      <button type="button" class="ghost" aria-label=${`Load ${name}`} onClick=${() => confirmAction('load', { model: name })}>Load</button>
      <button type="button" class="ghost" aria-label=${`Unload ${name}`} onClick=${() => confirmAction('unload', { model: name })}>Unload</button>
      <button type="button" class="ghost" aria-label=${`Weights of ${name}`} onClick=${() => confirmAction('weights', { model: name })}>Weights</button>
    </span></span></th></tr>`
}

const Row = memo(({ target, model, server, byModel, activity: seen }) => {
  const { engine = {}, in_flight: inFlight, places } = target
  const note = stateNote(target).replace(/^, /, '')
  const open = () => {
    opened.value = { id: target.id, model }
  }
  const isServer = !byModel && server !== target.id
  // Until the activity of the range has been read, only the last minute is known, from the status.
  const [failed, all] = seen
    ? [sum(seen.errors), sum(seen.requests)]
    : [target.failed_per_minute, target.requests_per_minute]
  const rowClick = ({ target: at }) => at.closest('button, a') === null && open()
  return html`<tr class="link" onClick=${rowClick} data-target=${target.id}>
    <th scope="row"><button type="button" class="plain" onClick=${open} title=${target.id}><span class="cut">${byModel ? target.id : server}</span></button>
      ${isServer && target.address ? html`<span class="quiet small medium-only"> ${target.address}</span>` : ''}
      ${isServer && !target.id.startsWith(`${server}/`) && html`<span class="quiet small medium-only"> ${target.id}</span>`}
      ${!byModel && html`<span class="narrow-only quiet small nowrap">${model}</span>`}</th>
    <td class="state-cell"><${State} of=${target.state} />${note !== '' && html`<span class="why">${note}</span>`}</td>
    ${
      byModel
        ? html`<td class="number wide-only">${share(target.weight)}${target.configured_weight !== undefined && html` <span class="quiet">(set)</span>`}</td>`
        : html`<td class="narrow-hidden"><span class="cut" title=${model}>${model}</span></td>`
    }
    <td class="number">${whole(inFlight)}${places !== undefined && html`<span class="quiet">/${places}</span>`}</td>
    <td class="number medium-only">${engine.waiting === undefined ? none : whole(engine.waiting)}</td>
    <td class="number medium-only">${engine.kv_use === undefined ? none : html`<span class="nowrap"><${Meter} share=${engine.kv_use} label=${`KV cache ${percent(engine.kv_use)}`} />${percent(engine.kv_use)}</span>`}</td>
    <td class="number wide-only">${engine.cache_hit_ratio === undefined ? none : percent(engine.cache_hit_ratio)}</td>
    <td class="number narrow-hidden">${rate(target.tokens_per_second)}</td>
    <td class="number narrow-hidden">${ms(target.first_content_ms)}</td>
    <td class=${failed > 0 ? 'number medium-only bad' : 'number medium-only'}>${failures(failed, all)}</td>
    <td class="number wide-only">${seen ? html`<${Spark} values=${seen.requests} label=${`${plural(all, 'request')} in the range`} />` : none}</td>
  </tr>`
})

function Opened() {
  const { id, model: modelName } = opened.value ?? {}
  if (id === undefined) return null
  const entry = entries.value.find(
    ({ target, model }) => target.id === id && (!modelName || modelName === model.name),
  )
  const models = entries.value.filter(({ target }) => target.id === id).map(({ model }) => model.name)
  return html`<${TargetDrawer} id=${id} entry=${entry} models=${models} activity=${entry && activity.value.get(`${entry.model.name}\n${id}`)}
    onClose=${() => {
      opened.value = undefined
    }} />`
}
