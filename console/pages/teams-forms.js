/** The records of teams and prices, and the dialogs that change them. */

import { signal, useSignal } from '@preact/signals'
import { copy, Dialog, html, Notice, Question, toast } from '../kit.js'
import { api, may, pathPart, send } from '../live.js'

/** Records by kind; a kind is absent until it has been read. */
export const records = signal({})
/** The error of the last read, if it failed. */
export const failure = signal()

/** Reads all records of these kinds. */
export async function refresh(kinds = ['clients', 'groups', 'keys', 'budgets']) {
  try {
    const read = await Promise.all(kinds.map((kind) => api(`admin/${kind}?limit=1000`)))
    records.value = {
      ...records.value,
      ...Object.fromEntries(kinds.map((kind, index) => [kind, read[index].data])),
    }
    failure.value = undefined
  } catch (error) {
    failure.value = error
  }
}

/** A button that is shown to admins only. */
export function AdminButton({ children, ...rest }) {
  return may('admin') && html`<button type="button" ...${rest}>${children}</button>`
}

const text = (name, label, hint) => ({ name, label, hint, kind: 'text' })
const number = (name, label, hint) => ({ name, label, hint, kind: 'number' })
const list = (name, label, hint) => ({ name, label, hint, kind: 'list' })
const choice = (name, label, options, hint) => ({ name, label, options, hint, kind: 'choice' })
const flag = (name, label, preset) => ({ name, label, preset, kind: 'flag' })

const bounds = [
  text('description', 'Description', 'for people'),
  list('models', 'Models', 'names and patterns, with commas between; empty: all'),
  list('surfaces', 'APIs', 'openai, anthropic, gemini, ollama, text, operator; empty: all but operator'),
  list('endpoints', 'Endpoints', 'such as /v1/embeddings or /v1/*; empty: all'),
  number('max_concurrent', 'Concurrent requests'),
  number('requests_per_minute', 'Requests/min'),
  number('tokens_per_minute', 'Tokens/min'),
  number('max_tokens', 'Tokens per response'),
  flag('enabled', 'Enabled', true),
]

const entities = {
  clients: {
    noun: 'client',
    fields: [
      { ...text('group', 'Group', 'its bounds hold too'), from: 'groups' },
      ...bounds,
      choice(
        'role',
        'Role',
        [
          ['', 'none'],
          ['viewer', 'viewer: may look'],
          ['operator', 'operator: changes the fleet'],
          ['admin', 'admin: changes clients too'],
        ],
        'in this console and its API',
      ),
      text('expires_at', 'Ends', 'such as 2027-01-31T00:00:00Z'),
      choice(
        'priority',
        'Priority',
        [
          ['', 'normal'],
          ['high', 'high'],
          ['low', 'low'],
        ],
        'in the queue',
      ),
      number('weight', 'Weight', 'its share of the queue'),
    ],
    removal: 'All of its keys become invalid at once; running requests continue. Its usage is kept.',
  },
  groups: {
    noun: 'group',
    fields: [{ ...text('parent', 'Parent', 'a group without a parent'), from: 'groups' }, ...bounds],
    removal: 'Only an empty group can be removed.',
  },
  budgets: {
    noun: 'budget',
    fields: [
      { ...text('client', 'Client', 'or a group'), from: 'clients' },
      { ...text('group', 'Group', 'shared by its clients'), from: 'groups' },
      text('model', 'Model', 'empty: all'),
      {
        ...choice('unit', 'Unit', [
          ['tokens', 'tokens'],
          ['cost', 'cost, by the prices'],
          ['gpu_seconds', 'busy seconds'],
          ['requests', 'requests'],
        ]),
        required: true,
      },
      { ...number('limit', 'Limit'), required: true },
      {
        ...choice('window', 'Window', [
          ['day', 'day'],
          ['week', 'week'],
          ['month', 'month'],
          ['rolling', 'rolling'],
        ]),
        required: true,
      },
      number('hours', 'Hours', 'of a rolling window'),
      text('description', 'Description', 'for people'),
      flag('hard', 'Hard: rejects requests when it is used up', true),
      flag('enabled', 'Enabled', true),
    ],
    removal: 'It no longer limits anything. Recorded usage is kept.',
  },
  prices: {
    noun: 'price',
    fields: [
      text('model', 'Model', 'a name or pattern such as gpt-*'),
      text('target', 'Target', 'goes before a price of the model'),
      text('currency', 'Currency', 'the same for all prices'),
      number('prompt', 'Prompt', 'per million tokens'),
      number('cached_prompt', 'Cached prompt', 'per million tokens'),
      number('completion', 'Completion', 'per million tokens'),
      number('gpu_second', 'Busy second'),
      number('request', 'Request'),
      text('description', 'Description', 'for people'),
    ],
    removal: 'It no longer applies to new usage. Recorded costs are kept.',
  },
}

const preset = (record, { name, kind, preset: value }) => {
  const known = record?.[name]
  if (kind === 'flag') return known ?? value
  return Array.isArray(known) ? known.join(', ') : (known ?? '')
}

/** The value of a field of the form; undefined if it is empty. */
function fieldValue(form, { name, kind }) {
  const element = form.elements[`field-${name}`]
  if (kind === 'flag') return element.checked
  const value = element.value.trim()
  if (value === '') return undefined
  if (kind === 'number') return Number(value)
  if (kind === 'list')
    return value
      .split(',')
      .map((each) => each.trim())
      .filter((each) => each !== '')
  return value
}

/** Creates a record or changes one. Refuses to change a record that somebody else has changed in the meantime. */
export function EditRecord({ entity, record, onClose, reload = refresh }) {
  const { noun, fields } = entities[entity]
  const save = async (form) => {
    if (!record) {
      const body = { id: form.elements['field-id'].value.trim() }
      for (const field of fields) {
        const value = fieldValue(form, field)
        if (value !== undefined) body[field.name] = value
      }
      await api(`admin/${entity}`, { method: 'POST', body })
      toast(`The ${noun} ${body.id} is created.`)
    } else {
      const path = `admin/${entity}/${pathPart(record.id)}`
      const changes = {}
      for (const field of fields) {
        const value = fieldValue(form, field)
        const before = preset(record, field)
        const now = Array.isArray(value) ? value.join(', ') : (value ?? '')
        if (String(now) !== String(before))
          changes[field.name] = value ?? (field.name === 'description' ? '' : null)
      }
      const current = await send(path)
      const stored = await current.json()
      if (stored.updated_at !== record.updated_at)
        throw new Error('Somebody else has changed it in the meantime. Close this dialog and open it again.')
      await api(path, {
        method: 'PATCH',
        body: changes,
        headers: { 'if-match': current.headers.get('etag') },
      })
      toast(`The ${noun} ${record.id} is changed.`)
    }
    await reload()
  }
  const title = record ? `Change ${noun} ${record.id}` : `New ${noun}`
  return html`<${Question} title=${title} confirm=${record ? 'Save' : 'Create'} onConfirm=${save} onClose=${onClose}>
    ${
      !record &&
      html`<label class="field">Id <input name="field-id" required pattern="[A-Za-z0-9][\\w.@\\-]*" autocomplete="off" />
      <span class="quiet">in the log, in metrics and in usage; it never changes</span></label>`
    }
    <div class="fields">${fields.map((field) => html`<${Field} key=${field.name} field=${field} value=${preset(record, field)} />`)}</div>
  </${Question}>`
}

function Field({ field: { name, label, hint, kind, options, from, required }, value }) {
  const named = `field-${name}`
  if (kind === 'flag')
    return html`<label class="check"><input type="checkbox" name=${named} defaultChecked=${value} /> ${label}</label>`
  const ids = from && (records.value[from] ?? []).map(({ id }) => id)
  return html`<label class="field">${label}
    ${
      kind === 'choice'
        ? html`<select name=${named}>${options.map(([key, words]) => html`<option key=${key} value=${key} selected=${key === value}>${words}</option>`)}</select>`
        : html`<input name=${named} type=${kind === 'number' ? 'number' : 'text'} step="any" min=${kind === 'number' ? 0 : undefined} defaultValue=${value}
          required=${required} autocomplete="off" list=${ids && `ids-${name}`} />`
    }
    ${ids && html`<datalist id=${`ids-${name}`}>${ids.map((id) => html`<option key=${id} value=${id} />`)}</datalist>`}
    ${hint && html`<span class="quiet">${hint}</span>`}</label>`
}

export function DeleteRecord({ entity, id, onClose, reload = refresh }) {
  const { noun, removal } = entities[entity]
  const remove = async () => {
    await api(`admin/${entity}/${pathPart(id)}`, { method: 'DELETE' })
    toast(`The ${noun} ${id} is removed.`)
    await reload()
  }
  return html`<${Question} title=${`Remove ${noun} ${id}?`} confirm="Remove" danger onConfirm=${remove} onClose=${onClose}><p>${removal}</p></${Question}>`
}

export function NewKey({ client, ask, onClose }) {
  const newKey = useSignal()
  const create = async (form) => {
    const { description, end } = form.elements
    const body = {
      ...(description.value.trim() !== '' && { description: description.value.trim() }),
      ...(end.value.trim() !== '' && { expires_at: end.value.trim() }),
    }
    newKey.value = await api(`admin/clients/${pathPart(client)}/keys`, { method: 'POST', body })
    await refresh(['keys'])
  }
  const done = () => (newKey.value ? ask('created', { created: newKey.value }) : onClose())
  return html`<${Question} title=${`New key for ${client}`} confirm="Create key" onConfirm=${create} onClose=${done}>
    <label class="field">Description <input name="description" maxlength="500" placeholder="laptop" autocomplete="off" /></label>
    <label class="field">Ends <input name="end" autocomplete="off" placeholder="never, or 2027-01-31T00:00:00Z" /></label>
  </${Question}>`
}

/** Shows a new key. It cannot be shown again. */
export function KeyCreated({ created, onClose }) {
  return html`<${Dialog} title="Copy this key now" onClose=${onClose}>
    <${Notice} tone="warn">It is shown only once: the router stores only its digest.</${Notice}>
    <code class="secret" id="new-key">${created.key}</code>
    <div class="actions"><button type="button" class="primary" onClick=${() => void copy(created.key)}>Copy</button>
      <button type="button" onClick=${onClose}>I have it</button></div>
  </${Dialog}>`
}

export function RotateKey({ id, client, prefix, ask, onClose }) {
  const newKey = useSignal()
  const rotate = async (form) => {
    const overlap = Math.round(Number(form.elements.hours.value) * 3_600)
    newKey.value = await api(`admin/keys/${pathPart(id)}/rotate`, {
      method: 'POST',
      body: { overlap_seconds: overlap },
    })
    await refresh(['keys'])
  }
  const done = () => (newKey.value ? ask('created', { created: newKey.value }) : onClose())
  return html`<${Question} title=${`Rotate ${prefix}… of ${client}?`} confirm="Rotate" onConfirm=${rotate} onClose=${done}>
    <p>${client} gets another key. The former one stays valid for a while, so that its programs can be changed.</p>
    <label class="field">Hours until the old key expires <input type="number" name="hours" min="0" max="8760" step="any" defaultValue="24" required /></label>
  </${Question}>`
}

export function RevokeKey({ id, client, prefix, onClose }) {
  const revoke = async () => {
    await api(`admin/keys/${pathPart(id)}/revoke`, { method: 'POST', body: {} })
    toast(`The key ${prefix}… is revoked.`)
    await refresh(['keys'])
  }
  return html`<${Question} title=${`Revoke ${prefix}… of ${client}?`} confirm="Revoke" danger onConfirm=${revoke} onClose=${onClose}>
    <p>Requests with it are rejected within two seconds everywhere. This cannot be undone: ${client} needs another key.</p></${Question}>`
}
