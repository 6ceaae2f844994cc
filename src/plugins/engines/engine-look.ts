import { parseJson } from '../../lib/json/read.ts'
import { isSuccess } from '../../relay/upstream/upstream-answer.ts'
import type { EngineListing, EngineState } from '../../sdk/engine-listings.ts'
import type { Target } from '../../sdk/target.ts'
import type { Transport } from '../../sdk/transport.ts'

/** Maximum size of a model list; no server behind a router has a longer one. */
const maxBytes = 4 * 1024 * 1024

interface Answer {
  /** Whether the server responded, with or without a list. */
  answered: boolean
  timedOut?: boolean
  text?: string
}

/** Requests the model list of a target's server. Never rejects. */
export async function lookAtEngine(
  target: Target,
  options: { transport: Transport; timeoutMs: number; userAgent: string },
): Promise<Omit<Answer, 'text'> & { state: EngineState | undefined }> {
  let answered = false
  let timedOut = false
  for (const listing of target.listings ?? []) {
    const answer = await ask(target, listing, options)
    answered ||= answer.answered
    timedOut ||= answer.timedOut === true
    const state = answer.text === undefined ? undefined : listing.read(parseJson(answer.text))
    if (state) return { answered, timedOut, state }
  }
  return { answered, timedOut, state: undefined }
}

function ask(
  target: Target,
  { path }: EngineListing,
  { transport, timeoutMs, userAgent }: { transport: Transport; timeoutMs: number; userAgent: string },
): Promise<Answer> {
  const { promise, resolve } = Promise.withResolvers<Answer>()
  const chunks: Buffer[] = []
  let bytes = 0
  const timer = setTimeout(() => end({ answered: false, timedOut: true }), timeoutMs)
  const end = (answer: Answer): void => {
    clearTimeout(timer)
    resolve(answer)
    call.abort()
  }
  const headers = {
    accept: 'application/json',
    'accept-encoding': 'identity',
    'user-agent': userAgent,
    ...target.type.authHeaders(target.token),
  }
  const request = { origin: target.origin, path, method: 'GET', headers, body: Buffer.alloc(0) } as const
  const call = transport.open(request, {
    onHeaders: (status) => {
      // After a 5xx, the server may have a list later.
      if (!isSuccess(status)) setImmediate(end, { answered: status < 500 })
    },
    onData: (chunk) => {
      bytes += chunk.length
      if (bytes > maxBytes) setImmediate(end, { answered: true })
      else chunks.push(chunk)
    },
    onEnd: () => setImmediate(end, { answered: true, text: Buffer.concat(chunks).toString() }),
    onError: () => setImmediate(end, { answered: false }),
  })
  return promise
}
