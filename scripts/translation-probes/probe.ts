/** One thing that a request can say: two bodies that differ in it alone. */
export interface Probe {
  field: string
  /** Members over those of the dialect's plain request. */
  body: Record<string, unknown>
  /** Members that the plain request needs too, so that only the field makes the difference. */
  beside?: Record<string, unknown>
}

/** Why fields change nothing and are not reported, where that is right for several dialects. */
export const reasons = {
  bookkeeping: 'metadata for the vendor; it does not affect the response',
  older: 'the older name of `model`',
  answering: 'it concerns the response of the router, not the request to the upstream',
  user: 'Ollama has no such field; it does not affect the response',
}

export const png =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
export const pdf = 'JVBERi0xLjQK'
export const schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
export const definition = { name: 'get_weather', description: 'Weather of a city', parameters: schema }
export const user = { role: 'user', content: 'Hello' }

export interface ProbedDialect {
  dialect: string
  title: string
  /** The least that a request needs. */
  plain: Record<string, unknown>
  /** Fields that are the router's own business, and what it does with them. */
  own: Readonly<Record<string, string>>
  probes: readonly Probe[]
  /** Fields that change nothing at some servers and are not reported, and why that is right. */
  silent: Readonly<Record<string, string>>
}
