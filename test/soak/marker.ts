/** The kinds of poisonous requests, by what servers do with them. */
export const poisons = [
  'kill', // the server crashes
  'all-500', // every server answers 500
  'all-reset', // every server resets it
  'all-401', // a WAF, an unknown file or adapter: every server rejects it in the same way
  'all-402',
  'all-403',
  'all-404',
  'too-large', // 429 about its own size, without a wait
  'no-operation', // a chat request to an embeddings server
  'endless', // no server ever answers it
  'cut-call', // a tool call cut by max_tokens
  'odd-call', // a tool call of another type, with malformed arguments
  'repeating', // Ollama stops a repeating answer with done:false
] as const

export type Poison = (typeof poisons)[number]

export interface Marker {
  /** As it appears in the request and in the answer to it. */
  text: string
  kind: 'good' | Poison
}

const pattern = new RegExp(`<(good|${poisons.join('|')}) \\d+>`)

/** What distinguishes a request from all others: servers find it, answers repeat it. */
export function newMarker(kind: Marker['kind'], number: number): Marker {
  return { text: `<${kind} ${number}>`, kind }
}

export function markerOf(body: string): Marker | undefined {
  const found = pattern.exec(body)
  if (!found) return undefined
  return { text: found[0], kind: found[1] as Marker['kind'] } // by the pattern
}
