import { isObject, type JsonObject } from '../../lib/json/read.ts'
import { applyEdits, scanObject, setMembers } from '../../lib/json/splice.ts'
import { type Restored, type RestoringOptions, restoredBody } from '../../processors/answers/restoring.ts'
import { BodyContents } from '../../processors/contents/body-contents.ts'
import { chatShape } from '../../processors/contents/chat-shape.ts'
import type { MaskingKey } from '../../processors/masking/key.ts'
import { masked } from '../../processors/masking/masking.ts'
import { Pseudonyms } from '../../processors/masking/pseudonyms.ts'
import { Dictionary } from '../../processors/masking/restorer.ts'
import { askedFormats, asksForJson } from '../../processors/structured.ts'
import type { Exchange } from '../../relay/exchange.ts'
import type { Processed } from '../../relay/processed.ts'
import type { ClientRequest } from '../../relay/request/client-request.ts'
import type { ChatRequest, ChatResponse } from '../../sdk/chat.ts'
import type { ContentShape } from '../../sdk/content.ts'
import { asRouterError, badRequest, RouterError } from '../../sdk/errors.ts'
import type { CompiledProcessor, MaskingProcessor } from './compiled.ts'

interface Surroundings {
  readonly processors: readonly CompiledProcessor[]
  readonly key: MaskingKey
  readonly exchange: Exchange
  readonly model: string
  readonly client: string | undefined
  warn(fields: Record<string, unknown>, message: string): void
}

/** What processors do for one request to a model and for its answer. All that it knows of the content ends with it. */
export class Processing {
  readonly #around: Surroundings
  readonly #masking: MaskingProcessor | undefined
  #pseudonyms: Pseudonyms | undefined
  #isStructured = false
  #wantsLogprobs = false

  constructor(around: Surroundings) {
    this.#around = around
    this.#masking = around.processors.find((each) => each.type === 'masking')
  }

  /** Whether answers are changed on their way back. */
  get restores(): boolean {
    return (
      this.#masking?.plan.restores === true && this.#pseudonyms !== undefined && this.#pseudonyms.size > 0
    )
  }

  /** Whether probabilities of tokens would show pseudonyms. */
  get masks(): boolean {
    return this.#masking !== undefined
  }

  /** Whether a request without an entry in the tables must not go on. */
  get failsClosed(): boolean {
    return this.#around.processors.some(({ failure }) => failure === 'closed')
  }

  /** The client's chat with processed contents. */
  async client(client: ClientRequest): Promise<ClientRequest> {
    const { source, dialect, remembers } = client
    if (source.from === 'router')
      return { ...client, source: { ...source, request: await this.chat(source.request) } }
    if (remembers) {
      dialect.chat.checkRequest?.(client.outline)
      const read = { ...dialect.chat.readRequest(client.readBody(), client.stream), model: client.alias }
      return { ...client, source: { from: 'router', request: await this.chat(read) } }
    }
    const bytes = await this.body(source.bytes, dialect.contents?.requests.chat, 'chat')
    const scan = scanObject(bytes)
    const body: unknown = JSON.parse(bytes.toString())
    if (!scan || !isObject(body)) throw badRequest('The body must be a JSON object')
    return {
      ...withoutForeignState(client),
      source: { from: 'client', bytes, scan },
      outline: body,
      readBody: () => body,
    }
  }

  /** A chat whose tokens are counted: its bytes, and the body that they are read as. */
  async counted(client: ClientRequest): Promise<ClientRequest> {
    const changed = await this.client(client)
    if (changed.source.from === 'router') {
      // Who counts reads the body again, and must find what was processed.
      const { request } = changed.source
      const { checkRequest: _check, ...chat } = client.dialect.chat
      return { ...changed, dialect: { ...client.dialect, chat: { ...chat, readRequest: () => request } } }
    }
    const read = client.readBody()
    const bytes = await this.body(
      Buffer.from(JSON.stringify(read)),
      client.dialect.contents?.requests.chat,
      'chat',
    )
    const body: JsonObject = JSON.parse(bytes.toString())
    return { ...changed, outline: body, readBody: () => body }
  }

  /** A chat in the canonical form. */
  async chat(request: ChatRequest): Promise<ChatRequest> {
    const { anonymize: _switch, ...extras } = request.extras
    const bytes = await this.body(Buffer.from(JSON.stringify({ ...request, extras })), chatShape, 'chat')
    return JSON.parse(bytes.toString())
  }

  /** A body with processed contents, and all other bytes as they came. `shape`: absent where the tables have no entry. */
  async body(received: Buffer, shape: ContentShape | undefined, operation: string): Promise<Buffer> {
    const bytes = withoutSwitch(received)
    if (this.#around.processors.length === 0) return bytes
    if (shape === undefined) {
      this.unprotected(`Requests for '${operation}'`)
      return bytes
    }
    const contents = new BodyContents(bytes, shape, { openProof: this.#around.key.openProof })
    const wishes = wishesOf(bytes)
    this.#isStructured ||= wishes.isStructured
    this.#wantsLogprobs ||= wishes.logprobs
    let texts = contents.texts.map(({ text }) => text)
    for (const processor of this.#around.processors) {
      const startedAt = performance.now()
      const record = (outcome: Processed['outcome'], values = 0): void =>
        this.#record({
          processor: processor.name,
          outcome,
          values,
          durationMs: performance.now() - startedAt,
        })
      try {
        checkProtection(processor, contents)
        const current = contents.texts.map((found, index) => ({ ...found, text: texts[index] ?? '' }))
        const done = await this.#inTime(processor, (signal) => this.#run(processor, current, bytes, signal))
        const flagged = done.isFlagged ? 'flagged' : undefined
        record(flagged ?? (done.values > 0 ? 'changed' : 'unchanged'), done.values)
        texts = done.texts
      } catch (thrown) {
        this.#failed(processor, thrown, record)
      }
    }
    return contents.with(texts)
  }

  /** A text of the request with pseudonyms, for who is asked before the contents are masked. Rejects if masking fails. */
  async masked(text: string): Promise<string> {
    let current = text
    for (const processor of this.#around.processors) {
      if (processor.type !== 'masking') continue
      const content = { text: current, run: 0, isSystem: false }
      const { texts } = await this.#inTime(processor, (signal) =>
        this.#run(processor, [content], Buffer.from('{}'), signal),
      )
      current = texts[0] ?? ''
    }
    return current
  }

  /** There is no way to see what such a request holds. Throws where a processor fails closed. */
  unprotected(what: string): void {
    for (const processor of this.#around.processors) {
      const record = (outcome: Processed['outcome']): void =>
        this.#record({ processor: processor.name, outcome, values: 0, durationMs: 0 })
      this.#failed(processor, notProtected(`${what} cannot be processed by '${processor.name}'`), record)
    }
  }

  /** A whole answer with its values. */
  restored(body: Buffer): Buffer {
    if (!this.masks) return body
    const { body: restored, done } = restoredBody(body, this.restoring())
    this.countRestored(done)
    if (done.leftOutLogprobs) this.#dropLogprobs()
    return restored
  }

  /** An object of an answer, with its values. */
  restoredObject(answer: JsonObject): JsonObject {
    if (!this.restores) return answer
    const { body } = restoredBody(Buffer.from(JSON.stringify(answer)), this.restoring())
    return JSON.parse(body.toString())
  }

  restoredChat(response: ChatResponse): ChatResponse {
    if (!this.restores) return response
    const { choices } = response
    return {
      ...response,
      choices: JSON.parse(this.restored(Buffer.from(JSON.stringify(choices))).toString()),
    }
  }

  restoring(): RestoringOptions {
    const entries = this.#masking?.plan.restores ? (this.#pseudonyms?.entries() ?? []) : []
    return {
      dictionary: new Dictionary(entries),
      isStructured: this.#isStructured,
      leavesOutLogprobs: this.restores,
      sealProof: this.#around.key.sealProof,
    }
  }

  countRestored({ values, unknown }: Pick<Restored, 'values' | 'unknown'>): void {
    if (values === 0 && unknown === 0) return
    const { exchange } = this.#around
    exchange.processed ??= { steps: [], restored: 0, unknown: 0 }
    exchange.processed.restored += values
    exchange.processed.unknown += unknown
  }

  /** To be called before the headers of an answer go out. */
  beforeAnswer(): void {
    if (this.#wantsLogprobs && this.restores) this.#dropLogprobs()
  }

  /** The answer cannot be changed, and so cannot be sent. */
  breakOff(thrown: unknown): void {
    const { exchange, warn } = this.#around
    exchange.breakOff(asRouterError(thrown))
    warn({ error_name: nameOf(thrown) }, 'the answer could not be processed and was broken off')
  }

  #dropLogprobs(): void {
    this.#around.exchange.drop('logprobs', 'the tokens of masked answers are not those that the client reads')
  }

  async #run(
    processor: CompiledProcessor,
    current: { text: string; run: number; isSystem: boolean }[],
    bytes: Buffer,
    signal: AbortSignal,
  ): Promise<{ texts: string[]; values: number; isFlagged?: boolean }> {
    if (processor.type === 'masking') {
      const asked = askedFormats(bytes.toString())
      this.#pseudonyms ??= new Pseudonyms(this.#around.key.bytes, (kind) =>
        asked.has(kind) ? 'shaped' : processor.styleOf(kind),
      )
      return masked(current, processor.plan, this.#pseudonyms, signal)
    }
    const { model, client } = this.#around
    const contents = current.map(({ text }) => text)
    const verdict = await processor.processor.request(contents, { model, client, signal })
    switch (verdict.type) {
      case 'pass':
        return { texts: contents, values: 0 }
      case 'replace': {
        if (verdict.contents.length !== contents.length)
          throw new Error('another number of contents came back')
        const values = verdict.contents.filter((text, index) => text !== contents[index]).length
        return { texts: [...verdict.contents], values }
      }
      case 'flag':
        return { texts: contents, values: 0, isFlagged: true }
      case 'block':
        throw blocked(processor.name)
    }
  }

  async #inTime<T>({ timeoutMs }: CompiledProcessor, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { signal } = this.#around.exchange
    const stop = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
    const aborted = Promise.withResolvers<never>()
    aborted.promise.catch(() => undefined)
    const onAbort = (): void => aborted.reject(stop.reason)
    stop.addEventListener('abort', onAbort, { once: true })
    try {
      return await this.#around.exchange.steps.outside(Promise.race([run(stop), aborted.promise]))
    } finally {
      stop.removeEventListener('abort', onAbort)
    }
  }

  /** Throws the client's error unless the processor fails open. */
  #failed(
    processor: CompiledProcessor,
    thrown: unknown,
    record: (outcome: Processed['outcome']) => void,
  ): void {
    const { name, failure } = processor
    const { exchange } = this.#around
    if (exchange.signal.aborted) throw asRouterError(exchange.signal.reason)
    if (thrown instanceof RouterError && thrown.code === 'content_filter') {
      record('refused')
      throw thrown
    }
    if (failure === 'open') {
      record('failed_open')
      this.#around.warn(
        { processor: name, error_name: nameOf(thrown) },
        'processor failed; the request passes',
      )
      return
    }
    if (thrown instanceof RouterError) {
      record('refused')
      throw thrown
    }
    record('failed_closed')
    this.#around.warn(
      { processor: name, error_name: nameOf(thrown) },
      'processor failed; the request is refused',
    )
    throw new RouterError('overloaded', `The request cannot be processed by '${name}' now`, {
      code: 'processor_failed',
      causeCode: 'PROCESSOR',
      retryAfterSeconds: 5,
      cause: thrown,
    })
  }

  #record(step: Processed): void {
    const { exchange } = this.#around
    exchange.processed ??= { steps: [], restored: 0, unknown: 0 }
    exchange.processed.steps.push(step)
  }
}

/** The upstream keeps no conversation of masked requests: what it kept could not be put back. */
function withoutForeignState(client: ClientRequest): ClientRequest {
  if (client.dialect.name !== 'responses') return client
  if (client.only === 'responses')
    throw notProtected("'previous_response_id' names a response that is kept elsewhere")
  const { native: _native, ...dialect } = client.dialect
  return { ...client, dialect }
}

/** Throws for what the processor cannot see or must not change. */
function checkProtection(processor: CompiledProcessor, contents: BodyContents): void {
  const [unprotected] = contents.unprotected
  if (unprotected !== undefined)
    throw notProtected(`'${unprotected}' cannot be processed by '${processor.name}'`, unprotected)
  if (processor.type !== 'masking') return
  const [media] = contents.media
  if (media !== undefined && !processor.passesMedia)
    throw notProtected(
      `'${media}' is an image, audio or a file, which '${processor.name}' cannot read`,
      media,
    )
  const held = contents.kept.find(({ text }) => processor.plan.rules.holdsCertain(text))
  if (held)
    throw notProtected(
      `'${held.path}' holds what '${processor.name}' masks, where nothing can be masked`,
      held.path,
    )
}

function notProtected(message: string, param?: string): RouterError {
  return new RouterError('forbidden', message, {
    code: 'not_protected',
    shouldRetry: false,
    ...(param === undefined ? {} : { param }),
  })
}

function blocked(name: string): RouterError {
  return new RouterError('bad_request', `The request was blocked by '${name}'`, {
    code: 'content_filter',
    shouldRetry: false,
  })
}

const anonymize: ReadonlySet<string> = new Set(['anonymize'])

/** The body without the member that switches masking on; no upstream knows it. */
function withoutSwitch(bytes: Buffer): Buffer {
  if (!bytes.includes('"anonymize"')) return bytes
  const scan = scanObject(bytes)
  if (!scan?.members.some(({ key }) => key === 'anonymize')) return bytes
  return applyEdits(bytes, setMembers(scan, {}, anonymize))
}

/** What the request says of its answer. */
function wishesOf(bytes: Buffer): { isStructured: boolean; logprobs: boolean } {
  const body: unknown = JSON.parse(bytes.toString())
  if (!isObject(body)) return { isStructured: false, logprobs: false }
  return { isStructured: asksForJson(body), logprobs: Boolean(body.logprobs) || Boolean(body.top_logprobs) }
}

function nameOf(thrown: unknown): string {
  if (thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string') return thrown.code
  return thrown instanceof Error ? thrown.name : typeof thrown
}
