import { type Operation, operations } from './provider.ts'

/**
 * What of a request decides which targets can answer it. A failure of a request that uses a feature says nothing about
 * requests without it: a server without a projector cannot read images, and answers all else well.
 */
export interface RequestTraits {
  /** 0 for a plain chat, else the features as `featuresOf` gives them. */
  readonly features: number
  /** A digest of operation and body, to tell requests apart; undefined where the body is not at hand. */
  fingerprint(): string | undefined
}

const contentFeatures = ['image', 'audio', 'video', 'file', 'tools', 'schema', 'adapter'] as const
export type ContentFeature = (typeof contentFeatures)[number]

const contentBits = 2 ** contentFeatures.length

/** The features of a request as one number. Chat is what every target is expected to do, so it is none. */
export function featuresOf(operation: Operation, content: ReadonlySet<ContentFeature>): number {
  let bits = 0
  contentFeatures.forEach((feature, index) => {
    if (content.has(feature)) bits |= 2 ** index
  })
  return operations.indexOf(operation) * contentBits + bits
}

/** Whether a request with the features `asked` needs all of `features`. */
export function needsAll(asked: number, features: number): boolean {
  const operation = Math.floor(features / contentBits)
  if (operation !== 0 && operation !== Math.floor(asked / contentBits)) return false
  const bits = features % contentBits
  return (bits & (asked % contentBits)) === bits
}

/** What the request names that a server may lack although its key and its model are right. */
export function namedBy(features: number): 'operation' | 'thing' | undefined {
  const names = needsAll(features, featuresOf('chat', new Set(['file'])))
  const adapts = needsAll(features, featuresOf('chat', new Set(['adapter'])))
  if (names || adapts) return 'thing'
  return features >= contentBits ? 'operation' : undefined
}

/** In words, for the log and the status page: `["embedding"]`, `["image", "tools"]`. */
export function featureNames(features: number): string[] {
  const operation = operations[Math.floor(features / contentBits)]
  const content = contentFeatures.filter((_feature, index) => features & (2 ** index))
  return operation === undefined || operation === 'chat' ? content : [operation, ...content]
}
