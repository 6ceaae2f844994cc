import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { isObject } from '../../src/lib/json/read.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { type RecordedRequest, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'
import { type Echo, startEcho } from './echo-upstream.ts'
import type { Conversation } from './official-question.ts'

/** What must not reach any model: each value of the conversation below. */
export const values = {
  system: ['boss@firma.pl'],
  first: ['jan.kowalski@firma.pl', '+48 600 700 800', 'PL61109010140000071219812874', 'Projekt Sokół'],
  call: ['anna.nowak@firma.pl', '44051401359'],
  result: ['ewa.lis@firma.pl', '192.168.1.20'],
  last: ['4111 1111 1111 1111'],
  tool: ['office@firma.pl'],
  user: ['asking@firma.pl'],
  passage: ['holiday@firma.pl'],
} as const

/** Parts of the values that occur in no other text, in any case and spelling. */
const traces =
  /firma\.pl|kowalski|anna\.nowak|600 ?700 ?800|109010140|sok[oó]l|sokół|44051401359|192\.168\.1\.20|4111[ -]?1111/i

/** `about`: makes the conversation a different one for the cache. */
export function conversation(about: string): Conversation {
  const [mail, phone, account, project] = values.first
  return {
    system: `You are the desk of ${values.system[0]}.`,
    first: `${about}: I am ${mail}, tel. ${phone}, account ${account}. It is about ${project}.`,
    call: { to: values.call[0], pesel: Number(values.call[1]), note: `about "${project}"` },
    result: { mail: values.result[0], seen: { from: [values.result[1]] }, project },
    last: `My card is ${values.last[0]}. Write to ${mail} about it.`,
    tool: `Sends mail, such as to ${values.tool[0]}`,
    user: values.user[0],
  }
}

export interface AllProcessorsOptions {
  /** `api_type` of the models; each model is named after its type. */
  kinds: readonly string[]
  /** Members added to an entry of `processors`, by its name, but not to the cache's. */
  more?: (name: string) => object
  /** Whether a service also detects names. */
  analyzes?: boolean
}

/** The service never responds, resets the connection, or returns an error. */
export type Failure = 'hang' | 'reset' | 'refuse'

export interface AllProcessors {
  readonly router: TestRouter
  readonly model: ScriptedUpstream
  readonly services: ScriptedUpstream
  /** Makes the model stop after the beginning of its response. */
  hang(hangs: boolean): void
  /** Reads the configuration again with these members, as in `AllProcessorsOptions`. */
  configure(more: (name: string) => object): Promise<void>
  /** Makes the service at this path fail from now on. */
  breakService(path: string | undefined, how?: Failure): void
  close(): Promise<void>
}

const pseudonym = /\b[A-Z]{2,7}_[2-9b-df-hj-km-np-tv-z]{8,}/g
/** Shorter than any pseudonym. A line ends with its piece, so that no window waits for the next one. */
const pieces = /[^\n]{1,7}|\n/g

/** A router with every kind of processor and a server that repeats all pseudonyms that it received, in its text and in a call. */
export async function startAllProcessors({
  kinds,
  more = () => ({}),
  analyzes = false,
}: AllProcessorsOptions): Promise<AllProcessors> {
  let hangs = false
  const model = await startEcho({
    say: (_text, request) => ({ ...answerTo(request), hangs }),
    cut: (text) => text.match(pieces) ?? [],
  })
  let broken: { path: string | undefined; how: Failure } = { path: undefined, how: 'hang' }
  const services = await startUpstream(({ url }) => {
    if (url === broken.path)
      return broken.how === 'refuse' ? { kind: 'reply', status: 500, body: {} } : { kind: broken.how }
    if (url === '/analyze') return { kind: 'reply', body: [] }
    if (url !== '/search') return { kind: 'reply', body: { safe: true } }
    const text = `The holiday desk is ${values.passage[0]}.`
    return { kind: 'reply', body: { results: [{ text, title: 'Leave', source: 'leave.md' }] } }
  })
  const at = (path: string) => ({ service: { type: 'http', url: `${services.url}${path}` } })
  // Not in the order in which they run.
  const processors = [
    { type: 'guardrail', name: 'late', on: 'response', ...at('/late') },
    { type: 'cache', name: 'cache', tools: true },
    { type: 'guardrail', name: 'masked', ...at('/masked') },
    {
      type: 'masking',
      name: 'masking',
      words: { PROJECT: ['Projekt Sokół'] },
      ...(analyzes ? { services: [{ type: 'presidio', url: services.url }] } : {}),
    },
    { type: 'guardrail', name: 'raw', on: 'response', before: 'unmasking', ...at('/raw') },
    { type: 'guardrail', name: 'early', before: 'masking', ...at('/early') },
    { type: 'retrieval', name: 'docs', clients: ['*'], ...at('/search') },
  ]
  const g = Object.fromEntries(
    kinds.map((api_type) => [
      api_type,
      { providers: [{ id: api_type, api_type, api_host: model.url, api_token: 'sk', model_path: 'up' }] },
    ]),
  )
  const modelsWith = (members: (name: string) => object) => ({
    processors: processors.map((each) => (each.type === 'cache' ? each : { ...each, ...members(each.name) })),
    g,
    active_models: { g: [...kinds] },
  })
  const router = await startRouter({ models: modelsWith(more), env: { LLM_ROUTER_USE_PROMETHEUS: '1' } })
  return {
    router,
    model,
    services,
    hang(wanted) {
      hangs = wanted
    },
    async configure(members) {
      writeFileSync(router.file, JSON.stringify(modelsWith(members)))
      await router.app.reload.now()
    },
    breakService(path, how = 'hang') {
      broken = { path, how }
    },
    async close() {
      await router.close()
      await services.close()
      await model.close()
    },
  }
}

function answerTo({ raw, body }: RecordedRequest): Echo {
  const found = [...new Set(raw.toString().match(pseudonym))]
  const text = `I know ${found.join(' | ')}.\nAnd again: "${found[0]}"em, ${found.at(-1)?.replace('_', '\\_')}.`
  const call = JSON.stringify({ to: found[0], all: { of: found }, said: `it is "${found[0]}"` })
  return { text, ...(isObject(body) && body.tools ? { call } : {}) }
}

/** Fails if a request contains a trace of a value: in its body, decoded as often as it is JSON, in its URL or in its headers. */
export function assertMasked({ raw, url, headers }: RecordedRequest): void {
  const text = raw.toString()
  const texts = [text, decodeURIComponent(url), JSON.stringify(headers), ...stringsIn(text)]
  for (const each of texts)
    if (traces.test(each)) assert.fail(`${url} received ${traces.exec(each)?.[0]} in ${text}`)
}

export function assertNoTrace(value: unknown): void {
  const text = JSON.stringify(value)
  if (traces.test(text)) assert.fail(`${text} contains ${traces.exec(text)?.[0]}`)
}

/** All strings of a JSON text, including those of JSON texts nested in strings. */
function stringsIn(text: string): string[] {
  try {
    return stringsOf(JSON.parse(text))
  } catch {
    return []
  }
}

function stringsOf(value: unknown): string[] {
  if (typeof value === 'number') return [String(value)]
  if (typeof value === 'string') return /^\s*[[{"]/.test(value) ? [value, ...stringsIn(value)] : [value]
  if (Array.isArray(value)) return value.flatMap(stringsOf)
  return isObject(value) ? Object.entries(value).flatMap(([key, member]) => [key, ...stringsOf(member)]) : []
}
