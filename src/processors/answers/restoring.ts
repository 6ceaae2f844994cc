import { applyEdits, type Edit } from '../../lib/json/splice.ts'
import { type JsonNode, memberOf, readTree, stringAt } from '../../lib/json/tree.ts'
import { JsonWriting } from '../masking/json-writing.ts'
import { lookAlikes } from '../masking/pseudonyms.ts'
import { type Dictionary, movedOffset, type Shift, TextRestorer } from '../masking/restorer.ts'

export interface RestoringOptions {
  readonly dictionary: Dictionary
  /** Whether the texts of the answer are to be JSON, as its request says. */
  readonly isStructured: boolean
  /** Whether probabilities of tokens are left out: they spell pseudonyms in pieces. */
  readonly leavesOutLogprobs: boolean
  /** Makes the proof of thoughts that the client gets in place of the upstream's. `json`: what the upstream wrote. */
  sealProof(opened: { json: string; proof: string }): string
}

/** What was done to an answer, for its record. */
export interface Restored {
  /** Values that were put back. */
  values: number
  leftOutLogprobs: boolean
  /** Words that look like pseudonyms but match no value. */
  unknown: number
}

/** Members whose strings are the text of a JSON value. */
const jsonMembers: ReadonlySet<string> = new Set(['arguments', 'partial_json'])
/** Members that hold token probabilities. */
const probabilityMembers: ReadonlySet<string> = new Set([
  'logprobs',
  'logprobsResult',
  'prompt_logprobs',
  'completion_probabilities',
])
/** Bytes that only their server can read. */
const opaqueMembers: ReadonlySet<string> = new Set(['signature', 'thoughtSignature', 'encrypted_content'])

/** Edits that put values back into all strings of a JSON value, but for the nodes that are handled elsewhere. */
export class ValueRestoring {
  readonly #bytes: Buffer
  readonly #options: RestoringOptions
  readonly #skipped: ReadonlySet<JsonNode>
  readonly edits: Edit[] = []
  readonly done: Restored = { values: 0, leftOutLogprobs: false, unknown: 0 }

  constructor(bytes: Buffer, options: RestoringOptions, skipped: ReadonlySet<JsonNode> = new Set()) {
    this.#bytes = bytes
    this.#options = options
    this.#skipped = skipped
  }

  restore(node: JsonNode, key = ''): void {
    if (this.#skipped.has(node)) return
    switch (node.type) {
      case 'string':
        this.#string(node, key)
        return
      case 'array':
        for (const item of node.items) this.restore(item, key)
        return
      case 'object':
        this.#object(node)
        return
      case 'number':
      case 'word':
        return
    }
  }

  #object(node: Extract<JsonNode, { type: 'object' }>): void {
    this.#prove(node)
    let shifts: readonly Shift[] = []
    for (const { key, keyStart, keyEnd, value } of node.members) {
      if (this.#options.leavesOutLogprobs && probabilityMembers.has(key) && value.type !== 'word') {
        this.done.leftOutLogprobs = true
        this.edits.push({ start: value.start, end: value.end, text: value.type === 'array' ? '[]' : 'null' })
      } else if (
        value.type === 'string' &&
        (key === 'content' || key === 'text') &&
        !this.#skipped.has(value)
      ) {
        shifts = this.#string(value, key)
      } else if (!opaqueMembers.has(key) || value.type !== 'string') {
        this.restore(value, key)
      }
      const changed = this.#changed(key, false)
      if (changed.text !== key)
        this.edits.push({ start: keyStart, end: keyEnd, text: JSON.stringify(changed.text) })
    }
    const annotations = memberOf(node, 'annotations')
    if (annotations && shifts.length > 0) this.moveOffsets(annotations, shifts)
  }

  /** Offsets of citations into a text that became longer or shorter. */
  moveOffsets(node: JsonNode, shifts: readonly Shift[]): void {
    if (node.type === 'array') for (const item of node.items) this.moveOffsets(item, shifts)
    if (node.type !== 'object') return
    for (const { key, value } of node.members) {
      if (value.type === 'number' && (key === 'start_index' || key === 'end_index')) {
        const moved = movedOffset(Number(this.#bytes.toString('latin1', value.start, value.end)), shifts)
        this.edits.push({ start: value.start, end: value.end, text: String(moved) })
      } else this.moveOffsets(value, shifts)
    }
  }

  /** Thoughts and calls with a proof: the client gets what the upstream wrote within the proof. */
  #prove(node: JsonNode): void {
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

  #string(node: JsonNode, key: string): readonly Shift[] {
    const text = stringAt(this.#bytes, node)
    const changed = this.#changed(text, jsonMembers.has(key) || this.#options.isStructured)
    if (changed.text !== text)
      this.edits.push({ start: node.start, end: node.end, text: JSON.stringify(changed.text) })
    return changed.shifts
  }

  #changed(text: string, isJson: boolean): { text: string; shifts: readonly Shift[] } {
    const restorer = new TextRestorer(this.#options.dictionary, isJson ? new JsonWriting() : undefined)
    const changed = restorer.push(text) + restorer.flush()
    this.done.values += restorer.restored
    this.done.unknown += unknownIn(text, this.#options.dictionary)
    return { text: changed, shifts: restorer.shifts }
  }
}

/** Words that look like pseudonyms but match no value, because a model has invented or changed them. */
export function unknownIn(text: string, dictionary: Dictionary): number {
  if (!dictionary.starts || !text.includes('_')) return 0
  let unknown = 0
  for (const { start } of lookAlikes(text)) if (dictionary.read(text, start, true) === undefined) unknown++
  return unknown
}

/** A whole answer with its values, all other bytes as they came. */
export function restoredBody(body: Buffer, options: RestoringOptions): { body: Buffer; done: Restored } {
  const root = readTree(body)
  if (!root) return { body, done: { values: 0, leftOutLogprobs: false, unknown: 0 } }
  const restoring = new ValueRestoring(body, options)
  restoring.restore(root)
  return { body: applyEdits(body, restoring.edits), done: restoring.done }
}
