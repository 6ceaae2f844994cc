/** The content of a response, whatever its dialect. */
export interface Meaning {
  text: string
  thought: string
  /** Names and arguments. */
  calls: [string, unknown][]
  end: 'stop' | 'length' | 'tools' | string
  promptTokens: number
  outputTokens: number
  /** Tokens whose probabilities were returned with the response. */
  tokens: string[]
}

type Json = Record<string, unknown>

export function nothing(): Meaning {
  return { text: '', thought: '', calls: [], end: '', promptTokens: 0, outputTokens: 0, tokens: [] }
}

export function object(value: unknown): Json {
  return typeof value === 'object' && value !== null ? Object(value) : {}
}

export function list(value: unknown): Json[] {
  return Array.isArray(value) ? value.map(object) : []
}

export function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

export function number(value: unknown): number {
  return typeof value === 'number' ? value : 0
}

/** The JSON documents of a stream: the data of its events, or its lines. */
export function documents(stream: string): Json[] {
  return stream
    .split('\n')
    .map((line) => line.replace(/^data: /, '').trim())
    .filter((line) => line.startsWith('{'))
    .map((line) => object(JSON.parse(line)))
}

export function parsed(json: unknown): unknown {
  return typeof json === 'string' ? JSON.parse(json === '' ? '{}' : json) : json
}
