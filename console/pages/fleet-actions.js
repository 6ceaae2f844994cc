/** One target in detail, and the actions of operators. Each is confirmed in a dialog that shows its effect first. */

import { signal, useSignal } from '@preact/signals'
import { render } from 'preact'
import { useEffect, useMemo } from 'preact/hooks'
import {
  clock,
  Dialog,
  Empty,
  html,
  inWords,
  Meter,
  ms,
  Notice,
  percent,
  plural,
  Question,
  rate,
  State,
  share,
  stateNote,
  Time,
  toast,
  whole,
} from '../kit.js'
import { api, may, me, pathPart, status } from '../live.js'

/** The action that waits for confirmation. */
const confirmation = signal()

/** Opens the dialog that confirms an action on a target or a model. */
export function confirmAction(action, subject) {
  confirmation.value = { action, ...subject }
}

// Outside of the pages and their dialogs, because the drawer of a target starts actions too.
const container = document.body.appendChild(document.createElement('div'))
render(html`<${Confirmation} />`, container)

function Confirmation() {
  const requested = confirmation.value
  if (!requested) return null
  const close = () => {
    confirmation.value = undefined
  }
  if (!may('operator'))
    return html`<${Dialog} title="Not permitted" onClose=${close}><p>${whyNot()}</p>
      <div class="actions"><button type="button" onClick=${close}>Close</button></div></${Dialog}>`
  if (requested.action === 'weights') return html`<${Weights} model=${requested.model} onClose=${close} />`
  return html`<${Confirm} key=${JSON.stringify(requested)} ...${requested} onClose=${close} />`
}

export function whyNot() {
  return me.value
    ? `${me.value.client} has the role ${me.value.role}. Changing the fleet takes the role operator.`
    : 'Changing the fleet requires an operator key: sign in at the bottom of the navigation. If none is set, restart the router with LLM_ROUTER_ADMIN_KEY.'
}

const titles = {
  drain: (name) => `Drain ${name}?`,
  resume: (name) => `Resume ${name}?`,
  reset: (name) => `Reset ${name}?`,
  load: (name) => `Load ${name}?`,
  unload: (name) => `Unload ${name}?`,
}
const verbs = { drain: 'Drain', resume: 'Resume', reset: 'Reset', load: 'Load', unload: 'Unload' }
const pasts = { drain: 'is drained', resume: 'takes requests again', reset: 'is as if it had never failed' }

function Confirm({ action, target, model, onClose }) {
  const name = target ?? model
  const isModel = target === undefined
  const query = `${isModel ? 'model' : 'target'}=${encodeURIComponent(name)}`
  const effect = useSignal(undefined)
  const force = useSignal(false)
  useEffect(() => {
    void api(`effects?action=${action}&${query}`).then(
      (answer) => {
        effect.value = answer
      },
      ({ message }) => {
        effect.value = { text: message, failed: true }
      },
    )
  }, [])
  const known = effect.value
  const confirm = async () => {
    if (isModel) {
      const { targets } = await api(`models/${pathPart(name)}/${action}`, { method: 'POST' })
      toast(`${name}: ${targets.map(({ id, result }) => `${id} ${result}`).join(', ')}.`)
      return
    }
    await api(`targets/${pathPart(name)}/${action}${force.value ? '?force=true' : ''}`, { method: 'POST' })
    toast(`${name} ${pasts[action]}.`)
  }
  return html`<${Question} title=${titles[action](name)} confirm=${verbs[action]} danger=${action === 'drain' || action === 'unload'}
    disabled=${!known || (known.needs_force === true && !force.value)} onConfirm=${confirm} onClose=${onClose}>
    <p id="effect">${known?.text ?? 'Checking the consequences ...'}</p>
    ${
      known?.models?.length > 0 &&
      html`<ul class="plain-list small quiet">${known.models.map(
        (each) =>
          html`<li key=${each.name}>${each.name}: ${plural(each.usable_targets, 'usable target')} now, ${each.usable_after} afterwards</li>`,
      )}</ul>`
    }
    ${
      known?.needs_force &&
      html`<${Notice} tone="warn"><label class="check"><input type="checkbox" checked=${force.value} onChange=${({
        currentTarget,
      }) => {
        force.value = currentTarget.checked
      }} /> Drain the last usable target anyway</label></${Notice}>`
    }
  </${Question}>`
}

function Weights({ model, onClose }) {
  // The weights at the moment when the dialog opened: an update must not overwrite what the user types.
  const { targets = [] } = useMemo(() => status.peek().models.find(({ name }) => name === model) ?? {}, [])
  const save = async (form) => {
    const weights = Object.fromEntries(
      targets.map(({ id }, index) => {
        const text = form.elements[`weight-${index}`].value.trim()
        return [id, text === '' ? null : Number(text)]
      }),
    )
    await api(`models/${pathPart(model)}/weights`, { method: 'PUT', body: weights })
    toast(`The weights of ${model} are set.`)
  }
  return html`<${Question} title=${`Weights of ${model}`} confirm="Set weights" onConfirm=${save} onClose=${onClose}>
    <p>Shares of the requests, from 0 to 1, for the strategies that go by weights. An empty field has the configured weight.
      They hold until they are set again or the router ends, with Redis over restarts.</p>
    <div class="fields">${targets.map(
      (
        { id, weight, configured_weight: configured },
        index,
      ) => html`<label class="field" key=${id}><span class="cut">${id}</span>
        <input type="number" name=${`weight-${index}`} min="0" max="1" step="0.01" defaultValue=${configured === undefined ? '' : share(weight)}
          placeholder=${`configured: ${configured ?? weight}`} /></label>`,
    )}</div>
  </${Question}>`
}

/** Everything that the router knows about a target. */
export function TargetDrawer({ id, entry, models, activity, onClose }) {
  if (!entry)
    return html`<${Dialog} title=${id} kind="drawer" onClose=${onClose}><${Empty}>This target no longer exists.</${Empty}></${Dialog}>`
  const { target, model } = entry
  const { engine } = target
  const facts = [
    [
      'State',
      html`<${State} of=${target.state} note=${stateNote(target)} />${target.since && html` <span class="quiet">since <${Time} at=${target.since} /></span>`}`,
    ],
    ['Problem', target.reason],
    ['Skipped for', target.ejected_for?.join(', ')],
    ['Model', models.join(', ')],
    ['Kind', target.type],
    [
      'Server',
      target.host === undefined || target.id.startsWith(`${target.server}/`) ? target.server : target.host,
    ],
    ['Address', target.address],
    ['Context', target.context > 0 && `${whole(target.context)} tokens`],
    [
      'In flight',
      target.places === undefined ? whole(target.in_flight) : `${target.in_flight} of ${target.places}`,
    ],
    ['First token', `${ms(target.first_content_ms)} on average`],
    ['Tokens/s', `${rate(target.tokens_per_second)} per response, on average`],
    ['Picked', `${plural(target.uses, 'time')} since the start`],
    [
      'Weight',
      target.configured_weight === undefined
        ? share(target.weight)
        : `${share(target.weight)} (configured: ${share(target.configured_weight)})`,
    ],
  ]
  const isDrained = target.state === 'drained'
  return html`<${Dialog} title=${id} kind="drawer" onClose=${onClose}>
    <div class="row">
      ${
        isDrained
          ? html`<button type="button" class="primary" onClick=${() => confirmAction('resume', { target: id })}>Resume</button>`
          : html`<button type="button" onClick=${() => confirmAction('drain', { target: id })}>Drain</button>`
      }
      <button type="button" onClick=${() => confirmAction('reset', { target: id })}>Reset failures</button>
      <button type="button" onClick=${() => confirmAction('load', { model: model.name })}>Load model</button>
      <button type="button" onClick=${() => confirmAction('unload', { model: model.name })}>Unload model</button>
      <button type="button" onClick=${() => confirmAction('weights', { model: model.name })}>Weights</button>
    </div>
    ${!may('operator') && html`<p class="quiet small">${whyNot()}</p>`}
    <${Facts} facts=${facts} />
    ${engine && html`<h3>Reported by its engine</h3><${Facts} facts=${engineFacts(engine)} />`}
    ${
      activity &&
      html`<p class="quiet small">${plural(
        activity.requests.reduce((sum, each) => sum + each, 0),
        'attempt',
      )} in the range of the overview.</p>`
    }
    <h3>Latest failures</h3>
    ${
      target.last_errors.length === 0
        ? html`<p class="quiet">None recorded.</p>`
        : html`<ul class="plain-list">${target.last_errors.map(
            ({ at, code }, index) =>
              html`<li key=${index}><span class="quiet">${clock(at)}</span> ${inWords(code)} <code class="quiet">${code}</code></li>`,
          )}</ul>`
    }
  </${Dialog}>`
}

function engineFacts({ state, sleep, running, waiting, kv_use: kv, cache_hit_ratio: hits, slots, loaded }) {
  return [
    ['State', state && (sleep ? `${state}, ${sleep.replace('_', ' ')}` : state)],
    ['Running', running !== undefined && `${running}${slots === undefined ? '' : ` of ${slots}`}`],
    ['Waiting', waiting !== undefined && whole(waiting)],
    ['KV cache', kv !== undefined && html`<${Meter} share=${kv} /> ${percent(kv)}`],
    ['Prefix cache hits', hits !== undefined && percent(hits)],
    ['Loaded', loaded && (loaded.length === 0 ? 'nothing' : loaded.map(loadedText).join(', '))],
  ]
}

function loadedText({ name, context, expires_at: end }) {
  const until = end ? `, until ${clock(end)}` : ''
  return `${name}${context ? ` (context ${whole(context)})` : ''}${until}`
}

export function Facts({ facts }) {
  return html`<dl class="facts">${facts
    .filter(([, value]) => value !== undefined && value !== false && value !== null && value !== '')
    .map(([name, value]) => [html`<dt key=${name}>${name}</dt>`, html`<dd>${value}</dd>`])}</dl>`
}
