import type { FastifyInstance } from 'fastify'
import { supporting } from '../../relay/request/operation-targets.ts'
import { type Operation, operations } from '../../sdk/operation.ts'
import { allTargets, type Model } from '../../sdk/target.ts'
import type { AutoFacts } from './facts.ts'

export interface Candidate {
  readonly model: Model
  /** Why the model cannot answer the request; undefined if it can. */
  readonly excluded: string | undefined
}

/** Features of a request and the names of the corresponding capabilities in Ollama. */
const capabilityOf: Readonly<Record<string, string>> = { image: 'vision', audio: 'audio', tools: 'tools' }

/** Which models can answer a request, as far as the router knows. */
export function candidatesFor(
  app: FastifyInstance,
  models: readonly Model[],
  facts: AutoFacts,
  requested: readonly string[],
): Candidate[] {
  const requiredOperations = operations.filter((operation) => requested.includes(operation))
  return models.map((model) => ({ model, excluded: reason(app, model, facts, requiredOperations) }))
}

function reason(
  app: FastifyInstance,
  model: Model,
  { features, promptTokens }: AutoFacts,
  requiredOperations: readonly Operation[],
): string | undefined {
  const targets = allTargets(model)
  // A model without targets is not excluded: discovery may add some.
  const isServed = targets.length > 0
  if (
    isServed &&
    requiredOperations.length > 0 &&
    !targets.some((target) => requiredOperations.some((operation) => supporting(operation)(target)))
  )
    return `does not support ${requiredOperations[0]}`
  if (model.embedding && requiredOperations.includes('chat') && !requiredOperations.includes('embedding'))
    return 'embedding model'
  for (const [feature, capability] of Object.entries(capabilityOf))
    if (features.has(feature) && model.capabilities && !model.capabilities.includes(capability))
      return `no capability "${capability}"`
  if (features.has('tools') && isServed && targets.every(({ toolCalling }) => !toolCalling))
    return 'does not support tools'
  const context = app.engines.contextOf(model)
  if (context > 0 && promptTokens > context) return `context of ${context} tokens`
  return undefined
}
