/** The settings and their sources, configuration files and their errors, versions, and the audit log. */

import { signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import {
  Card,
  clock,
  duration,
  Empty,
  html,
  moment,
  Notice,
  none,
  Panel,
  plural,
  State,
  Table,
  Tabs,
  whole,
} from '../kit.js'
import { api, me, routers, status, uptime } from '../live.js'
import { Facts } from './fleet-actions.js'

const tab = signal('configuration')
const settings = signal()
const failure = signal('')
const find = signal('')
const onlySet = signal(true)

const tabs = [
  ['configuration', 'Configuration'],
  ['files', 'Files'],
  ['versions', 'Versions'],
  ['audit', 'Audit log'],
]

async function load() {
  try {
    settings.value = await api('settings')
    failure.value = ''
  } catch ({ message }) {
    failure.value = message
  }
}

export default function Settings() {
  // Read again after a sign-in, which may reveal more, and after a file has been reloaded or rejected.
  const user = me.value
  const loadedAt = status.value?.config.loaded_at
  const failed = status.value?.config.failed.length
  useEffect(() => void load(), [user, loadedAt, failed])
  const TabContent = { configuration: Configuration, files: Files, versions: Versions, audit: Audit }[
    tab.value
  ]
  const rejected = (settings.value?.files ?? []).filter(({ state }) => state === 'rejected')
  return html`<${Tabs} label="Settings" tabs=${tabs} value=${tab.value} onChange=${(key) => {
    tab.value = key
  }} />
    ${failure.value !== '' && html`<${Notice} tone="warn">${failure.value}</${Notice}>`}
    ${
      rejected.length > 0 &&
      tab.value !== 'files' &&
      html`<${Notice} tone="bad">A changed file was rejected: what it said before is in use.
      <button type="button" onClick=${() => {
        tab.value = 'files'
      }}>Show the errors</button></${Notice}>`
    }
    <${Panel} of=${tab.value}><${TabContent} /></${Panel}>`
}

function valueText({ value, secret, is_set: isSet, hidden, unit }) {
  if (secret) return isSet ? 'set, not shown' : 'not set'
  if (hidden) return 'only shown to operators'
  if (value === null || value === undefined || value === '') return none
  if (Array.isArray(value)) return value.length === 0 ? none : value.join(', ')
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  if (typeof value === 'number')
    return unit === 'bytes' && value >= 1_048_576
      ? `${whole(value / 1_048_576)} MiB`
      : `${value}${unit ? ` ${value === 1 ? unit.replace(/s$/, '') : unit}` : ''}`
  return String(value)
}

function Configuration() {
  if (!settings.value) return failure.value === '' && html`<${Empty}>Loading ...</${Empty}>`
  const text = find.value.trim().toLowerCase()
  const all = settings.value.settings
  const shown = all.filter(
    ({ name, source, description = '' }) =>
      (!onlySet.value || source !== 'default') && `${name} ${description}`.toLowerCase().includes(text),
  )
  return html`<search class="filters">
      <input type="search" aria-label="Find a setting" placeholder="Find a setting" value=${find.value} onInput=${({
        currentTarget,
      }) => {
        find.value = currentTarget.value
      }} />
      <label class="check"><input type="checkbox" id="only-set" checked=${onlySet.value} onChange=${({
        currentTarget,
      }) => {
        onlySet.value = currentTarget.checked
      }} /> Only those that are set</label>
      <span class="quiet small">${shown.length} of ${all.length}</span></search>
    <div class="card">${
      shown.length === 0
        ? html`<${Empty}>${onlySet.value ? 'Nothing is set; all settings have their defaults.' : 'No setting matches.'}</${Empty}>`
        : html`<${Table} label="Settings" head=${['Variable', ['Value', 'narrow-hidden'], ['From', 'narrow-hidden'], ['Default', 'narrow-hidden'], ['Meaning', 'medium-only']]}><tbody>${shown.map(
            (
              setting,
            ) => html`<tr key=${setting.name}><th scope="row"><code>${setting.name}</code><span class="narrow-only">${valueText(setting)}</span></th><td class="narrow-hidden">${valueText(setting)}</td>
              <td class="narrow-hidden"><span class="tag">${setting.source === 'env' ? 'environment' : setting.source}</span></td>
              <td class="narrow-hidden quiet">${valueText({ ...setting, value: setting.default, secret: false, hidden: false })}</td>
              <td class="medium-only quiet small">${wordsOf(setting.description)}</td></tr>`,
          )}</tbody></${Table}>`
    }</div>`
}

/** Descriptions come from the documentation: code is between backticks, and links are reduced to their text. */
function wordsOf(text = '') {
  const parts = text.replaceAll(/\[([^\]]+)\]\([^)]+\)/g, '$1').split('`')
  return parts.map((part, index) => (index % 2 === 0 ? part : html`<code>${part}</code>`))
}

function Files() {
  if (!settings.value) return failure.value === '' && html`<${Empty}>Loading ...</${Empty}>`
  const { files } = settings.value
  if (files.length === 0) return html`<${Empty}>No file is in use.</${Empty}>`
  return files.map(
    ({ setting, path, state, at, errors, warnings }) => html`<${Card} key=${setting} title=${setting} body
      end=${html`<span class="state"><span class="dot" data-tone=${state === 'rejected' ? 'bad' : 'good'}></span>${state === 'rejected' ? 'rejected' : 'loaded'} ${clock(at)}</span>`}>
      <div class="stack">${path && html`<p class="quiet"><code>${path}</code></p>`}
        ${state === 'rejected' && html`<p>The previous version stays in use until the file is valid.</p>`}
        <${Findings} tone="bad" list=${errors} /><${Findings} tone="warn" list=${warnings} />
        ${errors.length + warnings.length === 0 && html`<p class="quiet">No errors and no warnings.</p>`}</div></${Card}>`,
  )
}

function Findings({ list, tone }) {
  return (
    list.length > 0 &&
    html`<ul class="plain-list">${list.map(
      ({ message, line, column }, index) =>
        html`<li key=${index}><span class="state"><span class="dot" data-tone=${tone}></span>${line ? html`<code>line ${line}${column ? `, column ${column}` : ''}</code>` : ''}</span> ${message}</li>`,
    )}</ul>`
  )
}

function Versions() {
  const { versions } = settings.value ?? {}
  const now = status.value
  const thisRouter = routers.value?.this
  const others = routers.value?.others ?? []
  return html`<${Card} title="This router" body><${Facts} facts=${[
    ['Name', thisRouter?.name],
    ['Version', versions?.router ?? now?.version],
    ['Node.js', versions?.node ?? now?.node],
    [
      'Configuration',
      versions && html`<code>${versions.config}</code>, loaded ${moment(versions.config_loaded_at)}`,
    ],
    ['Started', now && moment(now.started_at)],
  ]} /></${Card}>
    ${
      now &&
      html`<${Card} title=${plural(now.workers.length, 'process', 'processes')}><${Table} label="Processes of this router" head=${['Process', 'State', ['Up for', 'number narrow-hidden'], ['In flight', 'number'], ['Waiting', 'number medium-only'], ['Finished', 'number medium-only'], ['Failed', 'number medium-only'], ['Memory', 'number']]}>
      <tbody>${now.workers.map(
        (
          each,
        ) => html`<tr key=${each.pid}><th scope="row">${each.worker === 0 ? 'single' : each.worker} <span class="quiet small">pid ${each.pid}</span></th><td><${State} of=${each.state} /></td>
          <td class="number narrow-hidden">${duration(uptime(each.started_at))}</td><td class="number">${whole(each.in_flight)}</td><td class="number medium-only">${whole(each.waiting)}</td>
          <td class="number medium-only">${whole(each.finished)}</td><td class="number medium-only">${whole(each.failed)}</td><td class="number">${whole(each.memory_bytes / 1_048_576)} MiB</td></tr>`,
      )}</tbody></${Table}></${Card}>`
    }
    ${
      others.length > 0 &&
      html`<${Card} title="Other routers"><${Table} label="Other routers that share this one's Redis" head=${['Router', 'State', 'Version', ['Requests/min', 'number'], ['In flight', 'number narrow-hidden'], ['Configuration', 'medium-only'], ['Seen', 'narrow-hidden']]}>
      <tbody>${others.map(
        (
          each,
        ) => html`<tr key=${each.name}><th scope="row">${each.name}</th><td><${State} of=${each.state} /></td><td>${each.version}</td><td class="number">${whole(each.requests_per_minute)}</td>
          <td class="number narrow-hidden">${whole(each.in_flight)}</td><td class="medium-only"><code>${each.config}</code>${each.config !== thisRouter?.config && html` <span class="warn small">another one</span>`}</td><td class="narrow-hidden">${clock(each.seen_at)}</td></tr>`,
      )}</tbody></${Table}></${Card}>`
    }`
}

const audit = signal()
const auditFailure = signal()
const cursor = signal()

async function readAudit(from) {
  try {
    const page = await api(`admin/audit?limit=50${from ? `&cursor=${encodeURIComponent(from)}` : ''}`)
    audit.value = from ? [...audit.value, ...page.data] : page.data
    cursor.value = page.next_cursor
    auditFailure.value = undefined
  } catch (error) {
    auditFailure.value = error
  }
}

function Audit() {
  const user = me.value
  useEffect(() => void readAudit(), [user])
  const error = auditFailure.value
  if (error)
    return html`<${Notice} tone=${error.code === 'no_database' ? undefined : 'warn'}>${
      error.code === 'no_database'
        ? 'The audit log is kept in the database, and this router has none. Set LLM_ROUTER_DATABASE_URL to use one.'
        : error.message
    }</${Notice}>`
  if (!audit.value) return html`<${Empty}>Loading ...</${Empty}>`
  if (audit.value.length === 0) return html`<${Empty}>No changes yet.</${Empty}>`
  return html`<section class="card" aria-label="Audit log"><${Table} label="Audit log, the latest change first" head=${['When', 'Who', ['From', 'medium-only'], 'Change', ['Before and after', 'medium-only']]}>
    <tbody>${audit.value.map(
      ({
        id,
        at,
        actor,
        source,
        address,
        action,
        entity,
        entity_id: of,
        before,
        after,
      }) => html`<tr key=${id}><th scope="row" class="nowrap">${clock(at)}</th><td>${actor}</td>
        <td class="medium-only">${source} <span class="quiet small">${address}</span></td><td>${action} ${entity} ${of}</td>
        <td class="medium-only small"><${Difference} before=${before} after=${after} /></td></tr>`,
    )}</tbody></${Table}>
    ${cursor.value && html`<p class="empty"><button type="button" onClick=${() => void readAudit(cursor.value)}>Older changes</button></p>`}</section>`
}

/** The first six members that differ. */
function Difference({ before, after }) {
  const [one, other] = [parsed(before), parsed(after)]
  const names = [...new Set([...Object.keys(one), ...Object.keys(other)])].filter(
    (name) => name !== 'updated_at' && JSON.stringify(one[name]) !== JSON.stringify(other[name]),
  )
  return names
    .slice(0, 6)
    .map(
      (name) =>
        html`<div key=${name}><span class="quiet">${name}</span> ${one[name] !== undefined && html`<del>${JSON.stringify(one[name])}</del> `}${other[name] !== undefined && JSON.stringify(other[name])}</div>`,
    )
}

function parsed(text) {
  try {
    return Object(JSON.parse(text))
  } catch {
    return {}
  }
}
