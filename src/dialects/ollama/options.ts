import type { Sampling } from '../../sdk/chat.ts'
import { badRequest } from '../../sdk/errors.ts'

type NumberField =
  | 'maxTokens'
  | 'temperature'
  | 'topP'
  | 'topK'
  | 'minP'
  | 'typicalP'
  | 'repetitionPenalty'
  | 'presencePenalty'
  | 'frequencyPenalty'
  | 'seed'

/** Names in `options`. Source: Ollama's Modelfile reference, "Valid parameters and values". */
const optionOfField: Readonly<Record<NumberField, string>> = {
  maxTokens: 'num_predict',
  temperature: 'temperature',
  topP: 'top_p',
  topK: 'top_k',
  minP: 'min_p',
  typicalP: 'typical_p',
  repetitionPenalty: 'repeat_penalty',
  presencePenalty: 'presence_penalty',
  frequencyPenalty: 'frequency_penalty',
  seed: 'seed',
}

const fieldOfOption: ReadonlyMap<string, NumberField> = new Map(
  Object.entries(optionOfField).map(([field, option]) => [option, field as NumberField]), // its own keys
)

/** Parts `options` into what every dialect has and what only Ollama has. */
export function readOptions(options: Record<string, unknown>): {
  sampling: Sampling
  rest: Record<string, unknown>
} {
  const sampling: Sampling = {}
  const rest: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(options)) {
    if (value === null || value === undefined) continue
    const field = fieldOfOption.get(name)
    if (name === 'stop') {
      const stop = readStop(value)
      if (stop.length > 0) sampling.stop = stop
    } else if (field === undefined) {
      rest[name] = value
    } else if (typeof value !== 'number') {
      throw badRequest(`options.${name} must be a number`, `options.${name}`)
    } else if (!meansDefault(name, value)) {
      sampling[field] = value
    }
  }
  return { sampling, rest }
}

export function writeOptions(sampling: Sampling): Record<string, unknown> {
  const options: Record<string, unknown> = {}
  for (const [option, field] of fieldOfOption) {
    if (sampling[field] !== undefined) options[option] = sampling[field]
  }
  const stop = sampling.stop?.filter((text) => text !== '') ?? []
  if (stop.length > 0) options.stop = stop
  return options
}

function readStop(value: unknown): string[] {
  const texts = Array.isArray(value) ? value : [value]
  if (!texts.every((text) => typeof text === 'string')) {
    throw badRequest('options.stop must be an array of strings', 'options.stop')
  }
  return texts.filter((text) => text !== '')
}

/** Values by which Ollama says "no limit" (0, -1, -2 in older versions) and "random". */
function meansDefault(name: string, value: number): boolean {
  return (name === 'num_predict' && value <= 0) || (name === 'seed' && value === -1)
}
