import { append } from '../../lib/append.ts'
import { applyEdits, type Edit } from '../../lib/json/splice.ts'
import { type JsonNode, memberOf, readTree, stringAt } from '../../lib/json/tree.ts'
import type { AnswerContents, CitedRange } from '../../sdk/content.ts'
import { JsonWriting } from '../masking/json-writing.ts'
import { lookAlikes } from '../masking/pseudonyms.ts'
import { type Dictionary, TextRestorer } from '../masking/restorer.ts'
import { ChangedText } from './changed-text.ts'
import { type CitedText, movedCitations } from './citations.ts'
import { nodeAt, parsedEvent, probabilityMembers } from './nodes.ts'

export interface RestoringOptions {
  readonly dictionary: Dictionary
  /** Whether the request asked for structured output. */
  readonly isStructured: boolean
  /** Whether token probabilities are removed: they spell out pseudonyms. */
  readonly removesLogprobs: boolean
  /** Creates the proof that replaces the upstream's proof of its reasoning. `json`: the reasoning as generated. */
  sealProof(opened: { json: string; proof: string }): string
  /** Changes from a document as sent upstream to the client's own, by its index in the request. */
  documentOf(index: number): CitedText
}

/** Statistics of one response. */
export interface Restored {
  /** Number of restored values. */
  values: number
  removedLogprobs: boolean
  /** Words that look like pseudonyms but match no value. */
  unknown: number
  /** Citations whose offsets were removed because the adjusted ones cannot be computed. */
  removedOffsets: number
}

export const nothingRestored: Readonly<Restored> = {
  values: 0,
  removedLogprobs: false,
  unknown: 0,
  removedOffsets: 0,
}

/** Members whose strings are the text of a JSON value. */
const jsonMembers: ReadonlySet<string> = new Set(['arguments', 'partial_json'])
/** Members whose objects are the arguments of a call; a string in them can be the text of a JSON value. */
const argumentMembers: ReadonlySet<string> = new Set(['input', 'args', 'arguments'])
/** Bytes that only their server can read. */
const opaqueMembers: ReadonlySet<string> = new Set(['signature', 'thoughtSignature', 'encrypted_content'])

/** Edits that restore values in all strings of a JSON value, except in nodes that are handled elsewhere. */
export class ValueRestoring {
  readonly #bytes: Buffer
  readonly #options: RestoringOptions
  readonly #skipped: ReadonlySet<JsonNode>
  readonly edits: Edit[] = []
  readonly done: Restored = { ...nothingRestored }

  constructor(bytes: Buffer, options: RestoringOptions, skipped: ReadonlySet<JsonNode> = new Set()) {
    this.#bytes = bytes
    this.#options = options
    this.#skipped = skipped
  }

  /** `isArgument`: the value is part of tool arguments in object form. */
  restore(node: JsonNode, key = '', isArgument = false): void {
    if (this.#skipped.has(node)) return
    switch (node.type) {
      case 'string':
        this.#string(node, key, isArgument)
        return
      case 'array':
        for (const item of node.items) this.restore(item, key, isArgument)
        return
      case 'object':
        this.#object(node, isArgument || argumentMembers.has(key))
        return
      case 'number':
      case 'word':
        return
    }
  }

  #object(node: Extract<JsonNode, { type: 'object' }>, isArgument: boolean): void {
    this.#sealProofs(node)
    for (const { key, keyStart, keyEnd, value } of node.members) {
      if (this.#options.removesLogprobs && probabilityMembers.has(key) && !isEmpty(value)) {
        this.done.removedLogprobs = true
        this.edits.push({ start: value.start, end: value.end, text: value.type === 'array' ? '[]' : 'null' })
      } else if (!opaqueMembers.has(key) || value.type !== 'string') {
        this.restore(value, key, isArgument)
      }
      const changed = this.#restored(key, false)
      if (changed !== key) this.edits.push({ start: keyStart, end: keyEnd, text: JSON.stringify(changed) })
    }
  }

  /**
   * Adjusts the offsets of citations. `channelOf`: the text of a stream, by the name of its channel; undefined: `unknown` if any text
   * has changed.
   */
  moveCitations(
    root: JsonNode,
    ranges: readonly CitedRange[],
    channelOf: (name: string | undefined) => CitedText,
  ): void {
    const { edits, removed } = movedCitations(this.#bytes, root, ranges, ({ text }) => {
      if (!text) return this.done.values > 0 ? 'unknown' : channelOf(undefined)
      if ('channel' in text) return channelOf(text.channel)
      return 'document' in text ? this.#options.documentOf(text.document) : this.#textAt(root, text.path)
    })
    append(this.edits, edits)
    this.done.removedOffsets += removed
  }

  #textAt(root: JsonNode, path: readonly (string | number)[]): CitedText {
    const node = nodeAt(root, path)
    if (node?.type !== 'string') return undefined
    const text = stringAt(this.#bytes, node)
    const restorer = this.#restorerFor(this.#options.isStructured)
    restorer.push(text)
    restorer.flush()
    return restorer.restorations.length > 0 ? new ChangedText(text, restorer.restorations) : undefined
  }

  /** Seals the original reasoning or call and its proof in the proof that the client receives. */
  #sealProofs(node: JsonNode): void {
    for (const [values, name] of [
      [['thinking'], 'signature'],
      [['functionCall', 'text'], 'thoughtSignature'],
    ] as const) {
      const proof = memberOf(node, name)
      const value = values.map((each) => memberOf(node, each)).find((found) => found !== undefined)
      if (proof?.type !== 'string' || !value || proof.end - proof.start === 2 || this.#skipped.has(proof))
        continue
      const json = this.#bytes.toString('utf8', value.start, value.end)
      const sealed = this.#options.sealProof({ json, proof: stringAt(this.#bytes, proof) })
      this.edits.push({ start: proof.start, end: proof.end, text: JSON.stringify(sealed) })
    }
  }

  #string(node: JsonNode, key: string, isArgument: boolean): void {
    const text = stringAt(this.#bytes, node)
    const isJson = jsonMembers.has(key) || this.#options.isStructured || (isArgument && isJsonText(text))
    const changed = this.#restored(text, isJson)
    if (changed !== text) this.edits.push({ start: node.start, end: node.end, text: JSON.stringify(changed) })
  }

  #restored(text: string, isJson: boolean): string {
    const restorer = this.#restorerFor(isJson)
    const changed = restorer.push(text) + restorer.flush()
    this.done.values += restorer.restored
    this.done.unknown += unknownIn(text, this.#options.dictionary)
    return changed
  }

  #restorerFor(isJson: boolean): TextRestorer {
    return new TextRestorer(this.#options.dictionary, isJson ? new JsonWriting() : undefined)
  }
}

function isJsonText(text: string): boolean {
  if (!/^\s*[[{]/.test(text)) return false
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

function isEmpty(node: JsonNode): boolean {
  return node.type === 'word' || (node.type === 'array' && node.items.length === 0)
}

/** Number of words that look like pseudonyms but match no value, because the model invented or altered them. */
export function unknownIn(text: string, dictionary: Dictionary): number {
  if (!dictionary.starts || !text.includes('_')) return 0
  let unknown = 0
  for (const { start } of lookAlikes(text)) if (dictionary.read(text, start, true) === undefined) unknown++
  return unknown
}

/** A whole response with restored values and otherwise unchanged bytes. */
export function restoredBody(
  body: Buffer,
  options: RestoringOptions,
  citations?: AnswerContents['citations'],
): { body: Buffer; done: Restored } {
  const root = readTree(body)
  if (!root) return { body, done: { ...nothingRestored } }
  const restoring = new ValueRestoring(body, options)
  restoring.restore(root)
  const answer = citations && parsedEvent(body.toString())
  if (answer) restoring.moveCitations(root, citations(answer), () => undefined)
  return { body: applyEdits(body, restoring.edits), done: restoring.done }
}
