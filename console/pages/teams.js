/** Clients, groups, keys, budgets and usage. */

import { signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import {
  Card,
  clock,
  Dialog,
  day,
  Empty,
  html,
  moment,
  Notice,
  none,
  Panel,
  plural,
  Table,
  Tabs,
  Time,
  whole,
} from '../kit.js'
import { may, me } from '../live.js'
import { Facts } from './fleet-actions.js'
import {
  AdminButton,
  DeleteRecord,
  EditRecord,
  failure,
  KeyCreated,
  NewKey,
  RevokeKey,
  RotateKey,
  records,
  refresh,
} from './teams-forms.js'
import { Budgets, Usage } from './teams-usage.js'

const tab = signal('clients')
/** The dialog that is open. */
const dialog = signal()
const shownClient = signal()

const tabs = [
  ['clients', 'Clients'],
  ['groups', 'Groups'],
  ['keys', 'Keys'],
  ['budgets', 'Budgets'],
  ['usage', 'Usage'],
]

const close = () => {
  dialog.value = undefined
}
const ask = (kind, props) => {
  dialog.value = { kind, props }
}
const dialogs = {
  edit: EditRecord,
  remove: DeleteRecord,
  newKey: NewKey,
  created: KeyCreated,
  rotate: RotateKey,
  revoke: RevokeKey,
}

export default function Teams() {
  useEffect(() => {
    const requested = location.hash.slice(1)
    if (tabs.some(([key]) => key === requested)) tab.value = requested
    return () => {
      dialog.value = undefined
      shownClient.value = undefined
    }
  }, [])
  // Read again after a sign-in.
  const user = me.value
  useEffect(() => void refresh(), [user])
  const error = failure.value
  if (error?.code === 'no_database') return html`<${NoDatabase} />`
  if (error) return html`<${Notice} tone="warn">${error.message}</${Notice}>`
  if (!records.value.clients) return html`<${Empty}>Loading ...</${Empty}>`
  const TabContent = { clients: Clients, groups: Groups, keys: Keys, budgets: Budgets, usage: Usage }[
    tab.value
  ]
  const OpenDialog = dialog.value && dialogs[dialog.value.kind]
  return html`${!may('admin') && html`<${Notice}>You have read access. Changing clients, groups, keys and budgets requires the role admin.</${Notice}>`}
    <${Tabs} label="Teams" tabs=${tabs} value=${tab.value} onChange=${(key) => {
      tab.value = key
    }} />
    <${Panel} of=${tab.value}><${TabContent} ask=${ask} data=${records.value} /></${Panel}>
    ${shownClient.value && html`<${ClientDrawer} id=${shownClient.value} />`}
    ${OpenDialog && html`<${OpenDialog} ...${dialog.value.props} ask=${ask} onClose=${close} />`}`
}

function NoDatabase() {
  return html`<${Card} title="No database" body><div class="stack">
    <p>This router has no database. Its clients come from the keys file and cannot be changed here.</p>
    <p>With <code>LLM_ROUTER_DATABASE_URL</code>, such as <code>sqlite:/var/lib/llm-router/router.db</code>, clients, groups, keys, budgets and usage are kept and
      changed while the router runs. Fleet actions work without it.</p></div></${Card}>`
}

const limits = (record) => {
  const found = [
    record.max_concurrent && `${whole(record.max_concurrent)} at once`,
    record.requests_per_minute && `${whole(record.requests_per_minute)} requests/min`,
    record.tokens_per_minute && `${whole(record.tokens_per_minute)} tokens/min`,
    record.max_tokens && `${whole(record.max_tokens)} tokens each`,
  ].filter(Boolean)
  return found.length === 0 ? none : found.join(', ')
}

function Tags({ values, all }) {
  if (!values) return html`<span class="quiet">${all}</span>`
  if (values.length === 0) return html`<span class="quiet">none</span>`
  return html`<span class="tags">${values.map((value) => html`<span class="tag" key=${value}>${value}</span>`)}</span>`
}

function Enabled({ record: { enabled, expires_at: end } }) {
  if (enabled === false)
    return html`<span class="state"><span class="dot" data-tone="bad"></span>disabled</span>`
  if (end && Date.parse(end) < Date.now())
    return html`<span class="state"><span class="dot" data-tone="bad"></span>expired</span>`
  return html`<span class="state"><span class="dot" data-tone="good"></span>${end ? `until ${day(end)}` : 'active'}</span>`
}

const isValid = ({ revoked_at: revoked, expires_at: end }) =>
  !revoked && !(end && Date.parse(end) < Date.now())

function Clients({ ask: open, data: { clients, keys } }) {
  const keysOf = (id) => (keys ?? []).filter((key) => key.client === id && isValid(key)).length
  const end = html`<${AdminButton} class="primary" id="new-client" onClick=${() => open('edit', { entity: 'clients' })}>New client</${AdminButton}>`
  return html`<${Card} title=${plural(clients.length, 'client')} end=${end}>${
    clients.length === 0
      ? html`<${Empty}>No clients yet. Programs call models with the keys of a client.</${Empty}>`
      : html`<${Table} label="Clients" head=${['Client', 'State', ['Group', 'narrow-hidden'], ['Models', 'medium-only'], ['Limits', 'wide-only'], ['Role', 'medium-only'], ['Keys', 'number narrow-hidden']]}>
        <tbody>${clients.map(
          (client) => html`<tr key=${client.id} class="link" onClick=${({ target }) => {
            if (!target.closest('button')) shownClient.value = client.id
          }}>
            <th scope="row"><button type="button" class="plain" onClick=${() => {
              shownClient.value = client.id
            }}>${client.id}</button></th>
            <td><${Enabled} record=${client} /></td><td class="narrow-hidden">${client.group ?? none}</td>
            <td class="medium-only"><${Tags} values=${client.models} all="all" /></td><td class="wide-only">${limits(client)}</td>
            <td class="medium-only">${client.role ?? none}</td><td class="number narrow-hidden">${keysOf(client.id)}</td></tr>`,
        )}</tbody></${Table}>`
  }</${Card}>`
}

function ClientDrawer({ id }) {
  const { clients = [], keys = [] } = records.value
  const client = clients.find((each) => each.id === id)
  const onClose = () => {
    shownClient.value = undefined
  }
  if (!client)
    return html`<${Dialog} title=${id} kind="drawer" onClose=${onClose}><${Empty}>This client no longer exists.</${Empty}></${Dialog}>`
  const facts = [
    ['State', html`<${Enabled} record=${client} />`],
    ['Description', client.description],
    ['Group', client.group],
    ['Role', client.role],
    ['Models', html`<${Tags} values=${client.models} all="all" />`],
    ['APIs', html`<${Tags} values=${client.surfaces} all="all but operator" />`],
    ['Endpoints', client.endpoints && html`<${Tags} values=${client.endpoints} />`],
    ['Limits', limits(client)],
    ['Priority', client.priority],
    ['Weight', client.weight],
    ['Created', moment(client.created_at)],
    ['Changed', moment(client.updated_at)],
  ]
  return html`<${Dialog} title=${id} kind="drawer" onClose=${onClose}>
    <div class="row">
      <${AdminButton} class="primary" onClick=${() => ask('newKey', { client: id })}>New key</${AdminButton}>
      <${AdminButton} onClick=${() => ask('edit', { entity: 'clients', record: client })}>Edit</${AdminButton}>
      <${AdminButton} onClick=${() => ask('remove', { entity: 'clients', id })}>Remove</${AdminButton}>
    </div>
    <${Facts} facts=${facts} />
    <h3>Keys</h3>
    <${KeyTable} keys=${keys.filter((key) => key.client === id)} ask=${ask} />
  </${Dialog}>`
}

function Keys({ ask: open, data: { keys } }) {
  return html`<${Card} title=${plural(keys.length, 'key')}><${KeyTable} keys=${keys} ask=${open} withClient /></${Card}>`
}

function KeyTable({ keys, ask: open, withClient = false }) {
  if (keys.length === 0) return html`<${Empty}>No key yet.</${Empty}>`
  const head = [
    'Key',
    ...(withClient ? [['Client', 'narrow-hidden']] : []),
    'State',
    ['Last used', 'narrow-hidden'],
    ['Created', withClient ? 'medium-only' : 'narrow-hidden'],
    ['', 'number'],
  ]
  return html`<${Table} label="Keys" head=${head}><tbody>${keys.map(
    (
      key,
    ) => html`<tr key=${key.id}><th scope="row"><code class="nowrap">${key.prefix}…</code> <span class="quiet small">${key.description}</span>
        ${withClient && html`<span class="quiet small narrow-only">${key.client}</span>`}</th>
      ${withClient && html`<td class="narrow-hidden">${key.client}</td>`}
      <td><${KeyState} record=${key} /></td>
      <td class="narrow-hidden">${key.last_used_at ? html`<${Time} at=${key.last_used_at} />` : 'never'}</td>
      <td class=${withClient ? 'medium-only' : 'narrow-hidden'}><${Time} at=${key.created_at} /></td>
      <td class="number">${
        isValid(key) &&
        html`<${AdminButton} class="ghost" aria-label=${`Rotate ${key.prefix} of ${key.client}`} onClick=${() => open('rotate', { id: key.id, client: key.client, prefix: key.prefix })}>Rotate</${AdminButton}>
        <${AdminButton} class="ghost" aria-label=${`Revoke ${key.prefix} of ${key.client}`} onClick=${() => open('revoke', { id: key.id, client: key.client, prefix: key.prefix })}>Revoke</${AdminButton}>`
      }</td></tr>`,
  )}</tbody></${Table}>`
}

function KeyState({ record: { revoked_at: revoked, expires_at: end } }) {
  const [word, tone] = revoked
    ? ['revoked', 'none']
    : end && Date.parse(end) < Date.now()
      ? ['expired', 'none']
      : [end ? `until ${clock(end)}` : 'valid', 'good']
  return html`<span class="state"><span class="dot" data-tone=${tone}></span>${word}</span>`
}

function Groups({ ask: open, data: { groups, clients } }) {
  const end = html`<${AdminButton} class="primary" id="new-group" onClick=${() => open('edit', { entity: 'groups' })}>New group</${AdminButton}>`
  return html`<${Card} title=${plural(groups.length, 'group')} end=${end}>${
    groups.length === 0
      ? html`<${Empty}>No groups yet. A group restricts its clients, which share its limits.</${Empty}>`
      : html`<${Table} label="Groups" head=${['Group', 'State', ['Parent', 'medium-only'], ['Models', 'medium-only'], ['Limits', 'narrow-hidden'], ['Clients', 'number'], ['', 'number narrow-hidden']]}>
        <tbody>${groups.map(
          (
            group,
          ) => html`<tr key=${group.id}><th scope="row">${group.id} <span class="quiet small">${group.description}</span></th>
            <td><${Enabled} record=${group} /></td><td class="medium-only">${group.parent ?? none}</td><td class="medium-only"><${Tags} values=${group.models} all="all" /></td>
            <td class="narrow-hidden">${limits(group)}</td><td class="number">${clients.filter((client) => client.group === group.id).length}</td>
            <td class="number narrow-hidden"><${AdminButton} class="ghost" aria-label=${`Edit ${group.id}`} onClick=${() => open('edit', { entity: 'groups', record: group })}>Edit</${AdminButton}>
              <${AdminButton} class="ghost" aria-label=${`Remove ${group.id}`} onClick=${() => open('remove', { entity: 'groups', id: group.id })}>Remove</${AdminButton}></td></tr>`,
        )}</tbody></${Table}>`
  }</${Card}>`
}
