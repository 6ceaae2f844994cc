import type { FastifyInstance } from 'fastify'
import { having } from '../../relay/request/operation-targets.ts'
import { type Operation, operations } from '../../sdk/provider.ts'
import type { Model } from '../../sdk/target.ts'
import type { AutoFacts } from './facts.ts'

export interface Candidate {
  readonly model: Model
  /** Why it cannot answer the request; undefined: it can. */
  readonly excluded: string | undefined
}

/** What Ollama calls the abilities that a request can need. */
const capabilityOf: Readonly<Record<string, string>> = { image: 'vision', audio: 'audio', tools: 'tools' }

/** Which of the models can answer such a request, as far as that is known of them. */
export function candidatesFor(
  app: FastifyInstance,
  models: readonly Model[],
  facts: AutoFacts,
  asked: readonly string[],
): Candidate[] {
  const wanted = operations.filter((operation) => asked.includes(operation))
  return models.map((model) => ({ model, excluded: reason(app, model, facts, wanted) }))
}

function reason(
  app: FastifyInstance,
  model: Model,
  { features, promptTokens }: AutoFacts,
  wanted: readonly Operation[],
): string | undefined {
  const targets = [...model.targets, ...model.sleeping]
  // A model without targets may have some again soon.
  const isServed = targets.length > 0
  if (
    isServed &&
    wanted.length > 0 &&
    !targets.some((target) => wanted.some((operation) => having(operation)(target)))
  )
    return `has no ${wanted[0]}`
  if (model.embedding && wanted.includes('chat') && !wanted.includes('embedding')) return 'makes embeddings'
  for (const [feature, capability] of Object.entries(capabilityOf))
    if (features.has(feature) && model.capabilities && !model.capabilities.includes(capability))
      return `no capability "${capability}"`
  if (features.has('tools') && isServed && targets.every(({ toolCalling }) => !toolCalling)) return 'no tools'
  const context = app.engines.contextOf(model)
  if (context > 0 && promptTokens > context) return `context of ${context} tokens`
  return undefined
}
