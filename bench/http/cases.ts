/** One kind of load, and the router's maximum cost for it. */
export interface BenchCase {
  name: string
  /** The model in the router's configuration, which is also the kind of response. */
  upstream: Upstream
  path: string
  body: object
  fillingBytes: number
  endsWith: string
  concurrency: number
  /** The highest ratio of the processor time of a request to that of the bare pipe. */
  bound: number
  /** Included in the short form. */
  short?: true
}

export type Upstream = 'openaiWhole' | 'openaiStream' | 'ollamaStream' | 'anthropicStream'

/** The provider type for each kind of response. */
export const providerTypes: Record<Upstream, string> = {
  openaiWhole: 'vllm',
  openaiStream: 'vllm',
  ollamaStream: 'ollama',
  anthropicStream: 'anthropic',
}

const chat = '/v1/chat/completions'
const openaiEnd = 'data: [DONE]'

export const benchCases: readonly BenchCase[] = [
  { name: 'JSON, 1 KB in, 0.5 KB out', ...whole(850, 32), short: true },
  { name: 'stream, OpenAI', ...stream(chat, 'openaiStream', openaiEnd, 1.15), short: true },
  {
    name: 'stream, Ollama client over OpenAI',
    ...stream('/api/chat', 'openaiStream', '"done":true', 2.5),
    short: true,
  },
  { name: 'stream, OpenAI client over Ollama', ...stream(chat, 'ollamaStream', openaiEnd, 2.5), short: true },
  { name: 'stream, OpenAI client over Anthropic', ...stream(chat, 'anthropicStream', openaiEnd, 2.5) },
  { name: 'JSON, 100 KB in', ...whole(100_000, 8) },
  { name: 'JSON, 1 MB in', ...whole(1_000_000, 4), short: true },
  { name: 'JSON, 10 MB in', ...whole(10_000_000, 2) },
]

function whole(fillingBytes: number, concurrency: number): Omit<BenchCase, 'name'> {
  const upstream = 'openaiWhole'
  return {
    upstream,
    path: chat,
    body: bodyOf(upstream, false),
    fillingBytes,
    endsWith: '"usage"',
    concurrency,
    bound: 1.6,
  }
}

function stream(path: string, upstream: Upstream, endsWith: string, bound: number): Omit<BenchCase, 'name'> {
  // So few that the upstream sets the pace: a proxy that falls behind would receive several events in one chunk, and seem cheap.
  return { upstream, path, body: bodyOf(upstream, true), fillingBytes: 850, endsWith, concurrency: 24, bound }
}

/** Throws if there is none. */
export function caseNamed(name: string): BenchCase {
  const found = benchCases.find((each) => each.name === name)
  if (!found) throw new Error(`no case "${name}"`)
  return found
}

function bodyOf(model: string, stream: boolean): object {
  return {
    model,
    stream,
    messages: [
      { role: 'system', content: 'You are a helpful assistant.' },
      { role: 'user', content: 'FILLING' },
    ],
  }
}
