import { Type } from '@sinclair/typebox'

export const text = (description: string) => Type.Optional(Type.String({ description }))
export const yesNo = (description: string) => Type.Optional(Type.Boolean({ description }))
const members = (description: string) =>
  Type.Optional(Type.Record(Type.String(), Type.Unknown(), { description }))

export const keepAlive = Type.Optional(
  Type.Union([Type.String(), Type.Number()], {
    description: 'How long an Ollama server keeps the model loaded ("30m", seconds, -1 forever).',
  }),
)
export const defaults = members(
  "Default values for members that a request does not set, under the upstream's names.",
)
export const engineOptions = members('Default Ollama options, such as {"num_ctx": 32768}.')

export const numCtx = Type.Optional(
  Type.Union([Type.Literal('auto'), Type.Integer({ minimum: 1 })], {
    description:
      'Context length for Ollama requests that do not set one; "auto" chooses one that fits the prompt.',
    allowed: '"auto" or a number of tokens',
  }),
)
export const apiType = {
  description: 'Provider type of the server: openai, vllm, ollama and others, or a type of an extension.',
}
