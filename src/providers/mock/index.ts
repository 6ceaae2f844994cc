import { createHash } from 'node:crypto'
import type { ProviderType } from '../../sdk/provider.ts'
import type { MockSettings, Target } from '../../sdk/target.ts'
import type { Transport, UpstreamRequest } from '../../sdk/transport.ts'
import { mockAnswer } from './answer.ts'
import { answerBody, answerChunks, errorBody } from './body.ts'
import { type MockClock, type MockPlan, startCall, systemClock } from './call.ts'
import { readMockRequest } from './request.ts'

/**
 * The embedded model, which responds within the router: for testing programs without a GPU, a network or a key. It supports
 * OpenAI chat completions, so clients of every dialect use it like a real server. The flavour declares everything, because the
 * mock accepts all fields.
 */
export const mock: ProviderType = {
  name: 'mock',
  dialect: 'openai',
  flavour: {
    maxTokensField: 'max_tokens',
    repetitionPenalty: 'repetition_penalty',
    samplingExtensions: ['top_k', 'min_p', 'typical_p'],
    developerRole: true,
    jsonObject: true,
    namedToolChoice: true,
    reasoningHistory: ['reasoning_content'],
  },
  path: (operation) => (operation === 'chat' ? '/v1/chat/completions' : undefined),
  authHeaders: () => ({}),
  needsHost: false,
  createTransport: (target) => mockTransport(target, { clock: systemClock, random: Math.random }),
}

export interface MockSources {
  clock: MockClock
  /** 0 (inclusive) to 1 (exclusive); used if the settings have no seed. */
  random: () => number
}

/**
 * Creates a transport that responds in process. With a `seed`, ids and whether a request fails depend only on the seed and the
 * request's bytes. `error_status` without `error_rate` makes every request fail.
 */
export function mockTransport(
  target: Pick<Target, 'upstreamModel' | 'mock'>,
  sources: MockSources,
): Transport {
  return {
    open: (request, sink) => startCall(planFor(request, target, sources), sink, sources.clock),
  }
}

function planFor(
  request: UpstreamRequest,
  { upstreamModel, mock }: Pick<Target, 'upstreamModel' | 'mock'>,
  { clock, random }: MockSources,
): MockPlan {
  if (request.method !== 'POST') return errorPlan(405, 'The mock only accepts POST')
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.concat(request.body)
  const read = readMockRequest(body)
  if (!read) return errorPlan(400, 'The mock needs a JSON object with a list of messages')
  const draw = mock.seed === undefined ? random : seededRandom(mock.seed, body)
  if (draw() < errorRate(mock)) return errorPlan(mock.error_status ?? 500, 'The mock failed, as configured')

  const answer = mockAnswer(read, mock, upstreamModel, draw)
  const head = { id: answer.id, created: Math.floor(clock.wallMs() / 1000), model: upstreamModel }
  const tempo = {
    firstTokenMs: mock.first_token_ms ?? 0,
    msPerToken: mock.tokens_per_second === undefined ? 0 : 1000 / mock.tokens_per_second,
  }
  return read.stream
    ? {
        status: 200,
        headers: { 'content-type': 'text/event-stream; charset=utf-8' },
        headersFirst: true,
        chunks: answerChunks(answer, head, read.includeUsage),
        tempo,
      }
    : { status: 200, headers: jsonHeaders, headersFirst: false, chunks: [answerBody(answer, head)], tempo }
}

const jsonHeaders = { 'content-type': 'application/json' }

function errorPlan(status: number, message: string): MockPlan {
  return {
    status,
    headers: status === 429 ? { ...jsonHeaders, 'retry-after': '1' } : jsonHeaders,
    headersFirst: false,
    chunks: [{ text: errorBody(status, message), tokensBefore: 0 }],
    tempo: { firstTokenMs: 0, msPerToken: 0 },
  }
}

function errorRate(settings: MockSettings): number {
  return settings.error_rate ?? (settings.error_status === undefined ? 0 : 1)
}

/** Returns a generator of numbers in [0, 1): 32 bits each of SHA-256 over seed, request and a counter. */
function seededRandom(seed: number, body: Buffer): () => number {
  const key = createHash('sha256').update(`${seed}\n`).update(body).digest()
  let count = 0
  return () => createHash('sha256').update(key).update(String(count++)).digest().readUInt32BE(0) / 2 ** 32
}
