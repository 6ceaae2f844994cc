import { createHash } from 'node:crypto'
import { isObject } from '../../lib/json/read.ts'
import type { ChatRequest } from '../../sdk/chat.ts'
import type { ContentFeature, Dialect } from '../../sdk/dialect.ts'
import { type Operation, operations } from '../../sdk/operation.ts'

/** Traits are needed only after a failure, so they are computed on first use. */
class LazyTraits implements RequestTraits {
  readonly #features: () => number
  readonly #fingerprint: () => string | undefined
  #known: number | undefined

  constructor(features: () => number, fingerprint: () => string | undefined) {
    this.#features = features
    this.#fingerprint = fingerprint
  }

  get features(): number {
    this.#known ??= this.#features()
    return this.#known
  }

  fingerprint(): string | undefined {
    return this.#fingerprint()
  }
}

/** For a request in a client's dialect. `body`: its body; long strings may be truncated. */
export function traitsOfBody(
  { native, chat }: Pick<Dialect, 'native' | 'chat'>,
  body: Readonly<Record<string, unknown>>,
  bytes: Buffer | undefined,
): RequestTraits {
  const operation = native?.operation ?? 'chat'
  return new LazyTraits(
    () => featuresOf(operation, chat.features ? new Set(chat.features(body)) : contentOf(body)),
    () => bytes && digest(operation, bytes),
  )
}

/** For a request made by the router itself. */
export function traitsOfChat(request: ChatRequest): RequestTraits {
  const operation = request.completion === undefined ? 'chat' : 'completion'
  return new LazyTraits(
    () => featuresOf(operation, contentOfChat(request)),
    () => digest(operation, Buffer.from(JSON.stringify(request))),
  )
}

/** For a request of which only the operation is known. */
export function traitsOfOperation(operation: Operation, bytes?: Buffer): RequestTraits {
  return new LazyTraits(
    () => featuresOf(operation, new Set()),
    () => bytes && digest(operation, bytes),
  )
}

function digest(operation: Operation, bytes: Buffer): string {
  return createHash('sha256').update(operation).update('\0').update(bytes).digest('base64url')
}

/** Wire names of content parts in all dialects, and member names that Ollama uses for the same. */
const partFeatures: Readonly<Record<string, ContentFeature>> = {
  image: 'image',
  image_url: 'image',
  input_image: 'image',
  audio: 'audio',
  audio_url: 'audio',
  input_audio: 'audio',
  video: 'video',
  video_url: 'video',
  input_video: 'video',
  file: 'file',
  input_file: 'file',
  document: 'file',
}

const toolMembers = ['tools', 'functions']
const adapterMembers = ['lora', 'lora_path', 'lora_request', 'adapter_id']
const grammarMembers = ['grammar', 'json_schema', 'structured_outputs', 'output_format']
/** Deeper than any dialect nests parts: messages, content, tool result, content. */
const maxDepth = 6

function contentOf(body: Readonly<Record<string, unknown>>): ReadonlySet<ContentFeature> {
  const found = new Set<ContentFeature>()
  if (toolMembers.some((name) => isFilled(body[name]))) found.add('tools')
  if (adapterMembers.some((name) => isFilled(body[name]))) found.add('adapter')
  if (asksForSchema(body)) found.add('schema')
  for (const name of ['messages', 'input', 'system']) addParts(body[name], maxDepth, found)
  if (isFilled(body.images)) found.add('image')
  return found
}

function asksForSchema(body: Readonly<Record<string, unknown>>): boolean {
  if (grammarMembers.some((name) => isFilled(body[name]))) return true
  if (Object.keys(body).some((name) => name.startsWith('guided_') && isFilled(body[name]))) return true
  const text = isObject(body.text) ? body.text.format : undefined
  const output = isObject(body.output_config) ? body.output_config.format : undefined
  return [body.response_format, body.format, text, output].some(isSchema)
}

/** Ollama's `format` may be the schema itself or `"json"`. */
function isSchema(format: unknown): boolean {
  if (typeof format === 'string') return format !== ''
  return isObject(format) && format.type !== 'text' && Object.keys(format).length > 0
}

function addParts(value: unknown, depth: number, found: Set<ContentFeature>): void {
  if (typeof value !== 'object' || value === null || depth === 0) return
  if (Array.isArray(value)) {
    for (const each of value) addParts(each, depth - 1, found)
    return
  }
  if (!isObject(value)) return
  const feature = typeof value.type === 'string' ? partFeatures[value.type] : undefined
  if (feature !== undefined) found.add(feature)
  if (isFilled(value.images)) found.add('image')
  addParts(value.content, depth - 1, found)
  addParts(value.output, depth - 1, found)
}

function contentOfChat(request: ChatRequest): ReadonlySet<ContentFeature> {
  const found = new Set<ContentFeature>()
  if (request.tools.length > 0) found.add('tools')
  if (request.responseFormat !== undefined && request.responseFormat.type !== 'text') found.add('schema')
  for (const { parts } of request.messages) {
    for (const { type } of parts) {
      const feature = partFeatures[type]
      if (feature !== undefined) found.add(feature)
    }
  }
  return found
}

function isFilled(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return false
  return !Array.isArray(value) || value.length > 0
}

/**
 * Properties of a request that decide which targets can answer it. A failure of a request that uses a feature says nothing about
 * requests without it: a server without a projector cannot read images but handles everything else.
 */
export interface RequestTraits {
  /** 0 for a plain chat, otherwise the features as returned by `featuresOf`. */
  readonly features: number
  /** Digest of operation and body that identifies the request; undefined if the body is not available. */
  fingerprint(): string | undefined
}

const contentFeatures: readonly ContentFeature[] = [
  'image',
  'audio',
  'video',
  'file',
  'tools',
  'schema',
  'adapter',
]

const contentBits = 2 ** contentFeatures.length

/** The features of a request as one number. Every target is expected to support chats, so chat is not a feature. */
export function featuresOf(operation: Operation, content: ReadonlySet<ContentFeature>): number {
  let bits = 0
  contentFeatures.forEach((feature, index) => {
    if (content.has(feature)) bits |= 2 ** index
  })
  return operations.indexOf(operation) * contentBits + bits
}

/** Whether a request with the features `asked` uses all of `features`. */
export function needsAll(asked: number, features: number): boolean {
  const operation = Math.floor(features / contentBits)
  if (operation !== 0 && operation !== Math.floor(asked / contentBits)) return false
  const bits = features % contentBits
  return (bits & (asked % contentBits)) === bits
}

/** What a server may lack although its key and model are valid. */
export function possibleLack(features: number): 'operation' | 'resource' | undefined {
  const usesFile = needsAll(features, featuresOf('chat', new Set(['file'])))
  const usesAdapter = needsAll(features, featuresOf('chat', new Set(['adapter'])))
  if (usesFile || usesAdapter) return 'resource'
  return features >= contentBits ? 'operation' : undefined
}

/** Names of the features, for the log and the status page: `["embedding"]`, `["image", "tools"]`. */
export function featureNames(features: number): string[] {
  const operation = operations[Math.floor(features / contentBits)]
  const content = contentFeatures.filter((_feature, index) => features & (2 ** index))
  return operation === undefined || operation === 'chat' ? content : [operation, ...content]
}
