import { parseCarried } from '../../lib/json/exact.ts'
import { isObject, type JsonObject } from '../../lib/json/read.ts'
import { type Edit, scanObject } from '../../lib/json/splice.ts'
import { movedInRequest } from '../../processors/answers/citations.ts'
import { CitedDocuments } from '../../processors/answers/cited-documents.ts'
import { BodyContents } from '../../processors/contents/body-contents.ts'
import { chatShape } from '../../processors/contents/chat-shape.ts'
import type { ContentText } from '../../processors/contents/content-text.ts'
import { masked } from '../../processors/masking/masking.ts'
import { Pseudonyms } from '../../processors/masking/pseudonyms.ts'
import { requestedFormats } from '../../processors/structured.ts'
import type { Processed } from '../../relay/processed.ts'
import { type ClientRequest, exactBody } from '../../relay/request/client-request.ts'
import type { ChatRequest } from '../../sdk/chat.ts'
import { checkedVerdict } from '../../sdk/checks/processor.ts'
import type { ContentShape, DialectContents } from '../../sdk/content.ts'
import { badRequest } from '../../sdk/errors.ts'
import { changedCount } from './answer-guard.ts'
import type { CompiledProcessor } from './compiled.ts'
import { blocked, checkProtection, notProtected } from './protection.ts'
import { requestOptionsOf, withoutAnonymize } from './request-options.ts'
import { type ProcessingContext, ResponseProcessing } from './response-processing.ts'
import { BlockedError, inGroups, ProcessorRuns, runConcurrently } from './runs.ts'

/** Contents of a request during processing. */
interface Passing {
  readonly contents: BodyContents
  readonly bytes: Buffer
}

/** Processing of one request to a model and its response. Its knowledge of the content ends with the request. */
export class Processing extends ResponseProcessing {
  readonly #context: ProcessingContext
  readonly #runs: ProcessorRuns

  constructor(context: ProcessingContext) {
    const runs = new ProcessorRuns(context)
    super(context, runs)
    this.#context = context
    this.#runs = runs
  }

  /** Whether a request without an entry in the tables must be rejected. */
  get failsClosed(): boolean {
    return this.#context.processors.some(({ failure }) => failure === 'closed')
  }

  /** The client's chat with processed contents. */
  async processClientRequest(client: ClientRequest): Promise<ClientRequest> {
    const { source, dialect, remembers } = client
    if (source.from === 'router')
      return { ...client, source: { ...source, request: await this.processChat(source.request) } }
    if (remembers) {
      dialect.chat.checkRequest?.(client.outline)
      const read = { ...dialect.chat.readRequest(exactBody(client), client.stream), model: client.alias }
      return { ...client, source: { from: 'router', request: await this.processChat(read) } }
    }
    const { requests, documents } = dialect.contents ?? {}
    const bytes = await this.processBody(source.bytes, requests?.chat, 'chat', documents)
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

  /** A chat to count tokens of: its bytes and parsed body. */
  async processCountRequest(client: ClientRequest): Promise<ClientRequest> {
    const changed = await this.processClientRequest(client)
    if (changed.source.from === 'router') {
      // The counter parses the body again, so the bytes must be the processed ones.
      const { request } = changed.source
      const { checkRequest: _check, ...chat } = client.dialect.chat
      return { ...changed, dialect: { ...client.dialect, chat: { ...chat, readRequest: () => request } } }
    }
    const read = client.readBody()
    const bytes = await this.processBody(
      Buffer.from(JSON.stringify(read)),
      client.dialect.contents?.requests.chat,
      'chat',
    )
    const body: JsonObject = JSON.parse(bytes.toString())
    return { ...changed, outline: body, readBody: () => body }
  }

  /** A chat in the canonical form. */
  async processChat(request: ChatRequest): Promise<ChatRequest> {
    const { anonymize: _switch, ...extras } = request.extras
    const bytes = await this.processBody(
      Buffer.from(JSON.stringify({ ...request, extras })),
      chatShape,
      'chat',
    )
    return parseCarried(bytes.toString()) as ChatRequest
  }

  /** A body with processed contents and otherwise unchanged bytes. `shape`: absent if the tables have no entry. */
  async processBody(
    received: Buffer,
    shape: ContentShape | undefined,
    operation: string,
    documents?: DialectContents['documents'],
  ): Promise<Buffer> {
    const bytes = withoutAnonymize(received)
    if (this.#context.processors.length === 0) return bytes
    if (shape === undefined) {
      this.skipUninspected(`Requests for '${operation}'`)
      return bytes
    }
    const contents = new BodyContents(bytes, shape, { openProof: this.#context.key.openProof })
    this.applyOptions(requestOptionsOf(bytes))
    let texts = contents.texts.map(({ text }) => text)
    const lastIndex = contents.texts.findLastIndex(isOfTurn)
    const sent = texts[lastIndex] ?? ''
    const processors = this.#context.processors.filter(readsRequests)
    try {
      for (const group of inGroups(processors)) {
        const changed = await runConcurrently(group, (processor, others) =>
          this.#apply(processor, { contents, bytes }, texts, others),
        )
        texts = changed.at(-1) ?? texts
      }
    } catch (error) {
      throw error instanceof BlockedError ? blocked('request', error.processor) : error
    }
    this.setLastContent({ sent, upstream: texts[lastIndex] ?? '' })
    const cited = this.#adjustCitations(bytes, contents, texts, documents)
    return contents.with(texts, cited)
  }

  /** Remembers the documents for citations in the answer. Gives the edits of citations in earlier turns. */
  #adjustCitations(
    bytes: Buffer,
    contents: BodyContents,
    texts: readonly string[],
    documentsOf: DialectContents['documents'],
  ): Edit[] {
    if (!documentsOf || !bytes.includes('"document"')) return []
    const { texts: paths, citations } = documentsOf(JSON.parse(bytes.toString()))
    const found = new Map(contents.texts.map(({ path, text }, index) => [path, { text, index }]))
    const documents = new CitedDocuments(
      paths.map((path) => {
        const document = path === undefined ? undefined : found.get(path)
        return document && { sent: document.text, upstream: texts[document.index] ?? '' }
      }),
    )
    this.setDocuments(documents)
    return movedInRequest(bytes, citations, ({ text }) =>
      text && 'document' in text ? documents.upstreamOf(text.document, this.pseudonyms) : undefined,
    )
  }

  /**
   * A text of the request with pseudonyms, for services that are called before the contents are masked. Rejects if masking fails.
   */
  async maskText(text: string): Promise<string> {
    let current = text
    for (const processor of this.#context.processors) {
      if (processor.type !== 'masking') continue
      const content = { text: current, run: 0, isSystem: false, path: '' }
      const { texts } = await this.#runs.inTime(processor, (signal) =>
        this.#run(processor, [content], Buffer.from('{}'), signal),
      )
      current = texts[0] ?? ''
    }
    return current
  }

  /** The contents of such a request cannot be inspected. Throws if a processor fails closed. */
  skipUninspected(what: string): void {
    for (const processor of this.#context.processors) {
      const record = (outcome: Processed['outcome']): void =>
        this.#runs.record({ processor: processor.name, outcome, values: 0, durationMs: 0 })
      this.#runs.failed(processor, notProtected(`${what} cannot be processed by '${processor.name}'`), record)
    }
  }

  async #apply(
    processor: CompiledProcessor,
    { contents, bytes }: Passing,
    texts: string[],
    others: AbortSignal,
  ): Promise<string[]> {
    const startedAt = performance.now()
    const record = (outcome: Processed['outcome'], values = 0): void => {
      const durationMs = performance.now() - startedAt
      this.#runs.record({ processor: processor.name, outcome, values, durationMs })
    }
    try {
      checkProtection(processor, contents, this.#context.headers)
      const current = contents.texts.map((found, index) => ({ ...found, text: texts[index] ?? '' }))
      const run = (signal: AbortSignal) => this.#run(processor, current, bytes, signal)
      const done = await this.#runs.inTime(processor, run, others)
      record(done.isFlagged ? 'flagged' : done.values > 0 ? 'changed' : 'unchanged', done.values)
      return done.texts
    } catch (thrown) {
      if (thrown instanceof BlockedError) record('refused')
      if (thrown instanceof BlockedError || others.aborted) throw thrown
      this.#runs.failed(processor, thrown, record)
      return texts
    }
  }

  async #run(
    processor: CompiledProcessor,
    current: ContentText[],
    bytes: Buffer,
    signal: AbortSignal,
  ): Promise<{ texts: string[]; values: number; isFlagged?: boolean }> {
    if (processor.type === 'masking') {
      const formats = requestedFormats(bytes.toString())
      this.pseudonyms ??= new Pseudonyms(this.#context.key.bytes, (kind) =>
        formats.has(kind) ? 'shaped' : processor.styleOf(kind),
      )
      return masked(current, processor.plan, this.pseudonyms, signal)
    }
    const { model, client } = this.#context
    const contents = current.map(({ text }) => text)
    const own = processor.processor
    if (!own.request) return { texts: contents, values: 0 }
    const answer = await own.request(contents, { model, client, signal })
    const verdict = checkedVerdict(answer, contents.length)
    switch (verdict.type) {
      case 'pass':
        return { texts: contents, values: 0 }
      case 'replace':
        return { texts: [...verdict.contents], values: changedCount(verdict.contents, contents) }
      case 'flag':
        return { texts: contents, values: 0, isFlagged: true }
      case 'block':
        throw new BlockedError(processor.name)
    }
  }
}

function readsRequests(processor: CompiledProcessor): boolean {
  return processor.type === 'masking' || processor.processor.request !== undefined
}

/** Whether a content is part of the prompt rather than metadata of the request. */
function isOfTurn({ path }: ContentText): boolean {
  return /^(?:messages|input|contents|prompt)\b/.test(path)
}

/** The upstream must not store masked conversations: their values could not be restored later. */
function withoutForeignState(client: ClientRequest): ClientRequest {
  if (client.dialect.name !== 'responses') return client
  if (client.only === 'responses')
    throw notProtected("'previous_response_id' names a response that is kept elsewhere")
  const { native: _native, ...dialect } = client.dialect
  return { ...client, dialect }
}
