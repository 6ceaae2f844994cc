import { Dictionary, TextRestorer } from '../masking/restorer.ts'
import { ChangedText, chained } from './changed-text.ts'
import type { CitedText } from './citations.ts'

/** A document of a request: as its client sent it, and as the upstream got it. */
export interface CitedDocument {
  readonly sent: string
  readonly upstream: string
}

/** Texts of the documents of one request, by their index; undefined: one without a text. */
export class CitedDocuments {
  readonly #documents: readonly (CitedDocument | undefined)[]
  readonly #texts = new Map<number, CitedText>()

  constructor(documents: readonly (CitedDocument | undefined)[]) {
    this.#documents = documents
  }

  /** A document as the upstream got it, changed to what its client sent. `pseudonyms`: of the request. */
  textOf(index: number, pseudonyms: { entries(): Iterable<[string, string]> } | undefined): CitedText {
    if (!this.#texts.has(index)) this.#texts.set(index, this.#read(index, pseudonyms?.entries() ?? []))
    return this.#texts.get(index)
  }

  /** A document as its client sent it, changed to what the upstream gets. */
  upstreamOf(index: number, pseudonyms: { entries(): Iterable<[string, string]> } | undefined): CitedText {
    const text = this.textOf(index, pseudonyms)
    return text === 'unknown' ? text : text?.inverse
  }

  #read(index: number, pseudonyms: Iterable<[string, string]>): CitedText {
    const document = this.#documents[index]
    if (!document) {
      const isChanged = this.#documents.some((each) => each && each.sent !== each.upstream)
      return isChanged ? 'unknown' : undefined
    }
    const { sent, upstream } = document
    if (sent === upstream) return undefined
    const restorer = new TextRestorer(new Dictionary(pseudonyms))
    const restored = restorer.push(upstream) + restorer.flush()
    const unmasked = new ChangedText(upstream, restorer.restorations)
    // If a guardrail has changed the request too, one change covers all differences.
    return restored === sent ? unmasked : chained(unmasked, ChangedText.between(restored, sent))
  }
}
