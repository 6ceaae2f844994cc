import type { Operation, ToolCallFormat } from '../sdk/operation.ts'
import type { ProviderType } from '../sdk/provider.ts'

const methods: Readonly<Partial<Record<Operation, Readonly<Partial<Record<ToolCallFormat, string>>>>>> = {
  chat: { whole: 'generateContent', stream: 'streamGenerateContent?alt=sse' },
  embedding: { whole: 'embedContent', batch: 'batchEmbedContents' },
  count: { whole: 'countTokens' },
}

/** Google's Gemini API. Model and method are in the path. Format: Gemini API reference, "Generating content" and "Models". */
export const gemini: ProviderType = {
  name: 'gemini',
  dialect: 'gemini',
  flavour: {},
  modelIn: 'path',
  path(operation, call) {
    const forms = methods[operation]
    const method = (call && forms?.[call.form]) ?? forms?.whole
    return method === undefined ? undefined : `/v1beta/${resourceOf(call?.model ?? '{model}')}:${method}`
  },
  authHeaders: (token) => (token ? { 'x-goog-api-key': token } : {}),
  needsHost: true,
  defaultHost: 'https://generativelanguage.googleapis.com',
  healthPath: '/v1beta/models?pageSize=1',
  maxBatch: 100, // API reference, "batchEmbedContents"
}

/** Returns the resource name of a model. Tuned models are in a collection of their own. */
function resourceOf(model: string): string {
  const name = /^(?:models|tunedModels)\//.test(model) ? model : `models/${model}`
  return name.split('/').map(escaped).join('/')
}

function escaped(segment: string): string {
  return segment === '{model}' ? segment : encodeURIComponent(segment.toWellFormed()).replaceAll('%3A', ':')
}
