/** One thing that a request can express: two bodies that differ only in it. */
export interface Probe {
  field: string
  /** Members in addition to those of the dialect's plain request. */
  body: Record<string, unknown>
  /** Members that the plain request also needs, so that only the field makes the difference. */
  beside?: Record<string, unknown>
}

/** Reasons why fields change nothing and are not reported, shared by several dialects. */
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
  /** The minimal request. */
  plain: Record<string, unknown>
  /** Fields that the router handles itself, and what it does with them. */
  own: Readonly<Record<string, string>>
  probes: readonly Probe[]
  /** Fields that change nothing on some servers and are not reported, and why that is correct. */
  silent: Readonly<Record<string, string>>
}
