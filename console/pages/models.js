/** The models that clients can use, with their names, targets, capabilities and prices, and the prompt library. */

import { computed, signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import {
  Card,
  Dialog,
  Empty,
  html,
  Notice,
  none,
  Panel,
  plural,
  Segments,
  Table,
  Tabs,
  whole,
} from '../kit.js'
import { api, may, me } from '../live.js'
import { Facts } from './fleet-actions.js'
import {
  AdminButton,
  DeleteRecord,
  EditRecord,
  failure as priceFailure,
  records,
  refresh,
} from './teams-forms.js'

const tab = signal('catalogue')
const models = signal()
const library = signal()
const failure = signal('')
const find = signal('')
const shownModel = signal()
const dialog = signal()

const tabs = [
  ['catalogue', 'Catalogue'],
  ['prices', 'Prices'],
  ['prompts', 'Prompt library'],
]

async function load() {
  try {
    models.value = (await api('catalogue')).models
    failure.value = ''
  } catch ({ message }) {
    failure.value = message
  }
}

export default function Models() {
  useEffect(() => {
    void load()
    return () => {
      shownModel.value = undefined
      dialog.value = undefined
    }
  }, [])
  const TabContent = { catalogue: Catalogue, prices: Prices, prompts: Prompts }[tab.value]
  return html`<${Tabs} label="Models" tabs=${tabs} value=${tab.value} onChange=${(key) => {
    tab.value = key
  }} />
    ${failure.value !== '' && html`<${Notice} tone="warn">${failure.value}</${Notice}>`}
    <${Panel} of=${tab.value}><${TabContent} /></${Panel}>
    ${shownModel.value && html`<${ModelDrawer} model=${shownModel.value} />`}`
}

function capabilitiesOf({ capabilities, embedding, operations = [] }) {
  if (Array.isArray(capabilities)) return capabilities
  const named = Object.entries(capabilities ?? {}).flatMap(([name, has]) => (has === true ? [name] : []))
  return named.length > 0 ? named : embedding ? ['embedding'] : operations.slice(0, 4)
}

function Tags({ values }) {
  return html`<span class="tags">${values.map((value) => html`<span class="tag" key=${value}>${value}</span>`)}</span>`
}

function Catalogue() {
  if (!models.value) return failure.value === '' && html`<${Empty}>Loading ...</${Empty}>`
  const text = find.value.trim().toLowerCase()
  const shown = models.value.filter(({ name, aliases }) =>
    [name, ...aliases].some((each) => each.toLowerCase().includes(text)),
  )
  const end = html`<search><input type="search" aria-label="Find a model" placeholder="Find a model" value=${find.value} onInput=${({
    currentTarget,
  }) => {
    find.value = currentTarget.value
  }} /></search>`
  return html`<${Card} title=${plural(shown.length, 'model')} end=${end}>${
    shown.length === 0
      ? html`<${Empty}>No model matches.</${Empty}>`
      : html`<${Table} label="Models" head=${['Model', ['Other names', 'medium-only'], ['Context', 'number'], ['Can', 'narrow-hidden'], ['Strategy', 'medium-only'], ['Fallbacks', 'wide-only'], ['Targets', 'number narrow-hidden'], ['Price in / out', 'number wide-only']]}>
        <tbody>${shown.map((model) => html`<${ModelRow} key=${model.name} model=${model} />`)}</tbody></${Table}>`
  }</${Card}>`
}

function ModelRow({ model }) {
  const { name, aliases, context, strategy, fallbacks, targets, prices } = model
  const open = () => {
    shownModel.value = model
  }
  return html`<tr class="link" onClick=${({ target }) => target.closest('button') === null && open()}>
    <th scope="row"><button type="button" class="plain" onClick=${open}>${name}</button></th>
    <td class="medium-only">${aliases.length === 0 ? none : aliases.join(', ')}</td>
    <td class="number">${context > 0 ? whole(context) : none}</td>
    <td class="narrow-hidden"><${Tags} values=${capabilitiesOf(model)} /></td>
    <td class="medium-only">${strategy}</td><td class="wide-only">${fallbacks.length === 0 ? none : fallbacks.join(', ')}</td>
    <td class="number narrow-hidden">${targets.length}</td>
    <td class="number wide-only">${priceText(prices[0])}</td></tr>`
}

function priceText(price) {
  if (!price) return none
  return `${price.prompt ?? none} / ${price.completion ?? none} ${price.currency}`
}

function ModelDrawer({ model }) {
  const {
    name,
    aliases,
    group,
    context,
    strategy,
    fallbacks,
    operations = [],
    max_in_flight: maxInFlight,
    targets,
    prices,
  } = model
  const facts = [
    ['Other names', aliases.join(', ')],
    ['Group', group],
    ['Context', context > 0 && `${whole(context)} tokens`],
    ['Can', html`<${Tags} values=${capabilitiesOf(model)} />`],
    ['Operations', operations.join(', ')],
    ['Strategy', strategy],
    ['Fallbacks', fallbacks.join(', ')],
    ['Maximum in flight', maxInFlight],
  ]
  return html`<${Dialog} title=${name} kind="drawer" onClose=${() => {
    shownModel.value = undefined
  }}>
    <${Facts} facts=${facts} />
    <h3>Targets</h3>
    <${Table} label="Targets of the model" head=${['Target', 'Kind', 'Name there', ['Context', 'number']]}><tbody>${targets.map(
      ({
        id,
        type,
        upstream_model: upstream,
        context: size,
        standby,
      }) => html`<tr key=${id}><th scope="row">${id}${standby && html` <span class="quiet small">standby</span>`}</th>
        <td>${type}</td><td><span class="cut">${upstream}</span></td><td class="number">${size > 0 ? whole(size) : none}</td></tr>`,
    )}</tbody></${Table}>
    ${targets
      .filter(({ profile }) => profile && Object.keys(profile).length > 0)
      .map(
        ({ id, profile }) =>
          html`<details key=${id}><summary>Profile of ${id}</summary><${Facts} facts=${Object.entries(profile).map(([key, value]) => [key.replaceAll('_', ' '), textOf(value)])} /></details>`,
      )}
    ${
      prices.length > 0 &&
      html`<h3>Prices</h3>${prices.map(
        ({ id, target, currency, ...price }) =>
          html`<p key=${id}>${id}${target && ` (${target})`}: ${Object.entries(price)
            .filter(([, value]) => value !== null)
            .map(([key, value]) => `${key.replaceAll('_', ' ')} ${value} ${currency}`)
            .join(', ')}</p>`,
      )}`
    }
  </${Dialog}>`
}

function textOf(value) {
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.join(', ')
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)
}

const reload = async () => {
  await refresh(['prices'])
  await load()
}

function Prices() {
  const user = me.value
  useEffect(() => void refresh(['prices']), [user])
  const error = priceFailure.value
  if (error)
    return html`<${Notice} tone=${error.code === 'no_database' ? undefined : 'warn'}>${
      error.code === 'no_database'
        ? 'This router has no database, so there are no prices, and usage costs nothing. Set LLM_ROUTER_DATABASE_URL to use one.'
        : error.message
    }</${Notice}>`
  const { prices } = records.value
  if (!prices) return html`<${Empty}>Loading ...</${Empty}>`
  const ask = (kind, props) => {
    dialog.value = { kind, props }
  }
  const end = html`<${AdminButton} class="primary" id="new-price" onClick=${() => ask(EditRecord, {})}>New price</${AdminButton}>`
  const OpenDialog = dialog.value?.kind
  return html`${!may('admin') && html`<p class="quiet">Changing prices requires the role admin.</p>`}
    <${Card} title=${plural(prices.length, 'price')} end=${end}>${
      prices.length === 0
        ? html`<${Empty}>No prices yet. Prices determine the cost of future usage.</${Empty}>`
        : html`<${Table} label="Prices" head=${['Price', 'For', ['Prompt', 'number'], ['Cached', 'number medium-only'], ['Completion', 'number'], ['Busy second', 'number medium-only'], ['Request', 'number medium-only'], ['Currency', 'narrow-hidden'], ['', 'number narrow-hidden']]}>
          <tbody>${prices.map(
            (
              price,
            ) => html`<tr key=${price.id}><th scope="row">${price.id}</th><td>${price.target ?? price.model}</td>
              <td class="number">${price.prompt ?? none}</td><td class="number medium-only">${price.cached_prompt ?? none}</td><td class="number">${price.completion ?? none}</td>
              <td class="number medium-only">${price.gpu_second ?? none}</td><td class="number medium-only">${price.request ?? none}</td><td class="narrow-hidden">${price.currency}</td>
              <td class="number narrow-hidden"><${AdminButton} class="ghost" aria-label=${`Edit ${price.id}`} onClick=${() => ask(EditRecord, { record: price })}>Edit</${AdminButton}>
                <${AdminButton} class="ghost" aria-label=${`Remove ${price.id}`} onClick=${() => ask(DeleteRecord, { id: price.id })}>Remove</${AdminButton}></td></tr>`,
          )}</tbody></${Table}>`
    }</${Card}><p class="quiet small">Prompt, cached prompt and completion: per million tokens.</p>
    ${
      OpenDialog &&
      html`<${OpenDialog} entity="prices" ...${dialog.value.props} reload=${reload} onClose=${() => {
        dialog.value = undefined
      }} />`
    }`
}

const chosenPrompt = signal('')
const chosenLanguage = signal('')
const variables = signal({})
const rendered = signal()

/** Prompts by name; each has one version per language. */
const prompts = computed(() => Map.groupBy(library.value?.prompts ?? [], ({ name }) => name))

function Prompts() {
  useEffect(() => {
    void api('prompts/library').then(
      (answer) => {
        library.value = answer
      },
      ({ message }) => {
        failure.value = message
      },
    )
  }, [])
  if (!library.value) return failure.value === '' && html`<${Empty}>Loading ...</${Empty}>`
  if (prompts.value.size === 0) return html`<${Empty}>The library has no prompts.</${Empty}>`
  const name = prompts.value.has(chosenPrompt.value) ? chosenPrompt.value : [...prompts.value.keys()][0]
  const versions = prompts.value.get(name)
  const prompt =
    versions.find(({ language }) => language === chosenLanguage.value) ??
    versions.find(({ language }) => language === library.value.default_language) ??
    versions[0]
  return html`<div class="playground">
    <section class="card" aria-label="Prompts"><div class="body stack">
      <label class="field">Prompt <select id="prompt" value=${name} onChange=${({ currentTarget }) => {
        chosenPrompt.value = currentTarget.value
        rendered.value = undefined
      }}>${[...prompts.value.keys()].map((each) => html`<option key=${each} value=${each}>${each.replace('builtin/system/*/', '')}</option>`)}</select></label>
      ${
        versions.length > 1 &&
        html`<${Segments} label="Language" value=${prompt.language} options=${versions.map(({ language }) => [language, language ?? 'any'])} onChange=${(
          key,
        ) => {
          chosenLanguage.value = key
          rendered.value = undefined
        }} />`
      }
      ${prompt.placeholders.map(
        (each) =>
          html`<label class="field" key=${each}><code>${each}</code><input value=${variables.value[each] ?? ''} onInput=${({
            currentTarget,
          }) => {
            variables.value = { ...variables.value, [each]: currentTarget.value }
          }} /></label>`,
      )}
      ${prompt.placeholders.length === 0 && html`<p class="quiet">It has no variables.</p>`}
      <div class="row"><button type="button" class="primary" id="render" onClick=${() => void render(prompt)}>Render</button></div>
      <p class="quiet small">${prompt.shipped ? 'Comes with the router.' : 'From your library.'} Id: <code>${prompt.id}</code></p>
    </div></section>
    <section class="card" aria-label="Text"><header><h2>${rendered.value ? 'Rendered' : 'Template'}</h2>
      ${rendered.value?.missing.length > 0 && html`<span class="small warn">without a value: ${rendered.value.missing.join(', ')}</span>`}</header>
      <div class="answer" id="prompt-text">${rendered.value?.text ?? prompt.text}</div></section>
  </div>`
}

async function render({ id, placeholders }) {
  const values = Object.fromEntries(
    placeholders.filter((each) => variables.value[each]).map((each) => [each, variables.value[each]]),
  )
  try {
    rendered.value = await api(
      `prompts/render?${new URLSearchParams({ id, variables: JSON.stringify(values) })}`,
    )
    failure.value = ''
  } catch ({ message }) {
    failure.value = message
  }
}
