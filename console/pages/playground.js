/** Sends a chat to one or two models, and shows each response and its speed as it arrives. Nothing is stored. */

import { signal, useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { copy, Dialog, Empty, html, ms, Notice, none, rate, State, Table, whole } from '../kit.js'
import { api, may, status } from '../live.js'
import { whyNot } from './fleet-actions.js'
import { ask, bodyOf, codeFor } from './playground-request.js'

/** The form. It keeps its values while other pages are shown. */
const form = signal({
  system: '',
  prompt: 'Say in one sentence what a load balancer does.',
  temperature: '',
  maxTokens: '',
  effort: '',
  tools: '',
  images: [],
  stream: true,
})
const sides = signal([{ model: '', target: '' }])
const answers = signal([])
/** Aborts the running requests; undefined if there are none. */
const stopping = signal()
const explained = signal()
/** Names of embedding models, which cannot chat. */
const embedding = signal(new Set())

const set =
  (name) =>
  ({ currentTarget: { value, checked, type } }) => {
    form.value = { ...form.value, [name]: type === 'checkbox' ? checked : value }
  }

export default function Playground() {
  useEffect(() => {
    void api('catalogue').then(
      ({ models }) => {
        embedding.value = new Set(models.filter((model) => model.embedding).map(({ name }) => name))
      },
      () => undefined,
    )
  }, [])
  const models = (status.value?.models ?? []).filter(({ name }) => !embedding.value.has(name))
  if (!status.value) return html`<${Empty}>Loading ...</${Empty}>`
  if (models.length === 0) return html`<${Empty}>No model is available.</${Empty}>`
  const [first] = models
  const chosen = sides.value.map((side) =>
    models.some(({ name }) => name === side.model) ? side : { model: first.name, target: '' },
  )
  return html`${!may('operator') && html`<${Notice} tone="warn">${whyNot()}</${Notice}>`}
    <div class="playground">
      <${Form} models=${models} chosen=${chosen} />
      <div class="answers">${chosen.map((side, index) => html`<${Answer} key=${index} index=${index} side=${side} />`)}</div>
    </div>
    ${
      explained.value &&
      html`<${Explanation} ...${explained.value} onClose=${() => {
        explained.value = undefined
      }} />`
    }`
}

function Form({ models, chosen }) {
  const element = useRef()
  const error = useSignal('')
  const { system, prompt, temperature, maxTokens, effort, tools, images, stream } = form.value
  const attempt = (action) => async () => {
    error.value = ''
    try {
      await action()
    } catch ({ message }) {
      error.value = message
    }
  }
  const send = attempt(() => start(chosen))
  const keys = (event) => {
    if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return
    event.preventDefault()
    void send()
  }
  const submit = (event) => {
    event.preventDefault()
    void send()
  }
  const explain = attempt(async () => {
    const [{ model }] = chosen
    explained.value = {
      model,
      route: await api('route', {
        method: 'POST',
        body: { ...bodyOf(form.value, model), dialect: 'openai' },
      }),
    }
  })
  const choose = (index) => (side) => {
    sides.value = chosen.map((each, at) => (at === index ? side : each))
  }
  const compare = () => {
    sides.value =
      chosen.length === 2
        ? [chosen[0]]
        : [chosen[0], { model: models[1]?.name ?? models[0].name, target: '' }]
    answers.value = []
  }
  return html`<form class="card" ref=${element} onSubmit=${submit} onKeyDown=${keys} aria-label="Request"><div class="body stack">
    ${chosen.map((side, index) => html`<${Side} key=${index} models=${models} side=${side} label=${chosen.length === 2 ? ` ${index + 1}` : ''} onChange=${choose(index)} />`)}
    <label class="check"><input type="checkbox" id="compare" checked=${chosen.length === 2} onChange=${compare} /> Compare two models or targets</label>
    <label class="field">System prompt <textarea rows="2" name="system" value=${system} onInput=${set('system')}></textarea></label>
    <label class="field">Prompt <textarea rows="5" name="prompt" required value=${prompt} onInput=${set('prompt')}></textarea></label>
    <${Images} images=${images} />
    <details><summary>More</summary><div class="stack">
      <div class="fields">
        <label class="field">Temperature <input type="number" name="temperature" min="0" max="2" step="0.1" placeholder="default" value=${temperature} onInput=${set('temperature')} /></label>
        <label class="field">Maximum tokens <input type="number" name="max_tokens" min="1" placeholder="default" value=${maxTokens} onInput=${set('maxTokens')} /></label>
        <label class="field">Reasoning <select name="effort" value=${effort} onChange=${set('effort')}>
          ${['', 'none', 'low', 'medium', 'high'].map((each) => html`<option key=${each} value=${each}>${each || 'default'}</option>`)}</select></label>
      </div>
      <label class="field">Tools, as JSON <textarea rows="4" name="tools" class="mono" spellcheck="false" value=${tools} onInput=${set('tools')}
        placeholder='[{"type": "function", "function": {"name": "weather", "parameters": {...}}}]'></textarea></label>
      <label class="check"><input type="checkbox" checked=${stream} onChange=${set('stream')} /> Stream the response</label>
    </div></details>
    <p class="bad" role="alert">${error.value}</p>
    <div class="row">
      ${
        stopping.value
          ? html`<button type="button" class="danger" id="stop" onClick=${() => stopping.value?.abort()}>Stop</button>`
          : html`<button type="submit" class="primary" id="send" title="Ctrl + Enter" disabled=${!may('operator')}>Send</button>`
      }
      <button type="button" id="explain" disabled=${!may('operator')} onClick=${explain}>Explain the route</button>
    </div>
    <div class="row small"><span class="quiet">Copy as</span>${['curl', 'Python', 'TypeScript'].map(
      (language) =>
        html`<button type="button" key=${language} onClick=${attempt(() => copy(codeFor(language, bodyOf(form.value, chosen[0].model))))}>${language}</button>`,
    )}</div>
  </div></form>`
}

function Side({ models, side, label, onChange }) {
  const { targets = [] } = models.find(({ name }) => name === side.model) ?? {}
  return html`<div class="fields">
    <label class="field">${`Model${label}`} <select class="model" value=${side.model} onChange=${({ currentTarget }) => onChange({ model: currentTarget.value, target: '' })}>
      ${models.map(({ name }) => html`<option key=${name} value=${name}>${name}</option>`)}</select></label>
    <label class="field">${`Target${label}`} <select class="target" value=${side.target} onChange=${({ currentTarget }) => onChange({ ...side, target: currentTarget.value })}>
      <option value="">automatic</option>${targets.map(({ id }) => html`<option key=${id} value=${id}>${id}</option>`)}</select></label>
  </div>`
}

function Images({ images }) {
  const add = async ({ currentTarget }) => {
    const files = [...currentTarget.files]
    currentTarget.value = ''
    const urls = await Promise.all(files.map(dataUrl))
    form.value = { ...form.value, images: [...form.value.images, ...urls] }
  }
  const remove = (index) => {
    form.value = { ...form.value, images: form.value.images.filter((_each, at) => at !== index) }
  }
  return html`<label class="field">Images <input type="file" name="images" accept="image/*" multiple onChange=${add} /></label>
    ${
      images.length > 0 &&
      html`<div class="thumbs">${images.map(
        (url, index) =>
          html`<button type="button" class="plain" key=${index} aria-label=${`Remove image ${index + 1}`} onClick=${() => remove(index)}><img src=${url} alt="" /></button>`,
      )}</div>`
    }`
}

function dataUrl(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader()
    reader.onload = () => resolve(reader.result)
    reader.onerror = () => reject(new Error(`${file.name} cannot be read.`))
    reader.readAsDataURL(file)
  })
}

async function start(chosen) {
  if (stopping.value) return
  const bodies = chosen.map(({ model, target }) => ({
    ...bodyOf(form.value, model),
    ...(target !== '' && { target }),
  }))
  const stop = new AbortController()
  stopping.value = stop
  answers.value = chosen.map(() => ({ state: 'running' }))
  const update = (index) => (more) => {
    answers.value = answers.value.map((each, at) => (at === index ? { ...each, ...more } : each))
  }
  // On a phone, the responses are below the form.
  document.querySelector('.answers')?.scrollIntoView({ block: 'nearest' })
  await Promise.all(bodies.map((body, index) => ask(body, { stop: stop.signal, onChange: update(index) })))
  stopping.value = undefined
}

function Answer({ index, side }) {
  const {
    state = 'none',
    reasoning = '',
    content = '',
    calls = [],
    error,
    usage,
    ttft,
    total,
    target,
    reason,
    speed,
  } = answers.value[index] ?? {}
  return html`<section class="card" aria-label=${`Response ${index + 1}`} data-state=${state}>
    <header><h2>${side.model}</h2>
      <span class="quiet small">${state === 'running' ? 'responding ...' : (target ?? side.target)}</span></header>
    <div class="answer" aria-busy=${String(state === 'running')}>${
      state === 'none'
        ? html`<span class="quiet">The response appears here. Press Ctrl + Enter to send.</span>`
        : ''
    }${reasoning !== '' && html`<details open=${content === ''}><summary>Reasoning</summary>${reasoning}</details>`}${content}${calls.map(
      (call, at) => html`<pre key=${at}>${call.name}(${call.arguments})</pre>`,
    )}${error && html`<p class="bad" role="alert">${error}</p>`}</div>
    ${
      (ttft !== undefined || total !== undefined) &&
      html`<div class="measures">
      <span>first token <strong>${ms(ttft)}</strong></span><span>tokens/s <strong>${rate(speed)}</strong></span>
      <span>tokens <strong>${usage ? `${whole(usage.prompt_tokens ?? 0)} → ${whole(usage.completion_tokens ?? 0)}` : none}</strong></span>
      <span>total <strong>${ms(total)}</strong></span>
      ${reason && html`<span>${target}: ${reason}</span>`}
      ${content !== '' && html`<button type="button" class="plain" onClick=${() => void copy(content)}>Copy the response</button>`}
    </div>`
    }
  </section>`
}

function Explanation({ model, route, onClose }) {
  const { strategy, request, candidates, excluded, choice, waits, error } = route
  const outcome = error
    ? error.message
    : choice
      ? html`<strong>${choice.target}</strong>: ${choice.reason}`
      : waits
        ? 'It would wait for a free slot.'
        : 'This strategy chooses only when a request is sent.'
  return html`<${Dialog} title=${`Where a request for ${model} would go`} kind="drawer" onClose=${onClose}>
    <${Notice} tone=${error ? 'bad' : choice ? 'good' : 'warn'}><span>${outcome}</span></${Notice}>
    <p class="quiet small">Strategy ${strategy}, ${whole(request.prompt_tokens)} prompt tokens (estimated), priority ${request.priority}${request.session ? `, session ${request.session}` : ''}.</p>
    <${Table} label="Targets that could answer" head=${['Target', 'State', ['Score', 'number'], ['In flight', 'number'], ['First token', 'number narrow-hidden']]}>
      <tbody>${candidates.map(
        ({
          target,
          score,
          full,
          standby,
          signals,
        }) => html`<tr key=${target}><th scope="row">${target}${standby && ' (standby)'}</th>
          <td><${State} of=${signals.state} />${full && html` <span class="quiet small">full</span>`}</td>
          <td class="number">${score ?? none}</td><td class="number">${signals.in_flight}</td><td class="number narrow-hidden">${ms(signals.first_content_ms)}</td></tr>`,
      )}${excluded.map(
        ({
          target,
          signals,
        }) => html`<tr key=${target} class="quiet"><th scope="row">${target}</th><td><${State} of=${signals.state} /></td><td class="number">${none}</td>
          <td class="number">${signals.in_flight}</td><td class="number narrow-hidden">${ms(signals.first_content_ms)}</td></tr>`,
      )}</tbody></${Table}>
  </${Dialog}>`
}
