import { type Behaviour, upstreamModel } from './scripted-upstream.ts'

/** 9 prompt tokens, 4 of them cached, and 3 completion tokens. */
const usageMetadata = {
  promptTokenCount: 9,
  candidatesTokenCount: 3,
  totalTokenCount: 12,
  cachedContentTokenCount: 4,
}

const head = { modelVersion: upstreamModel, responseId: 'upstream-id' }

/** A whole Gemini response with these parts; `candidate` adds or overrides members. */
export function geminiAnswer(parts: readonly object[], candidate: object = {}): Behaviour {
  const candidates = [{ content: { parts, role: 'model' }, finishReason: 'STOP', index: 0, ...candidate }]
  return { kind: 'reply', body: { candidates, usageMetadata, ...head } }
}

export function geminiText(text: string): Behaviour {
  return geminiAnswer([{ text }])
}

/** The event terminator that Google's servers send. */
export function geminiEvent(data: object): string {
  return `data: ${JSON.stringify({ ...data, ...head })}\r\n\r\n`
}

/** A stream with one event for each part, then the finish reason; no event marks its end. */
export function geminiStream(parts: readonly object[], candidate: object = {}): Behaviour {
  const chunk = (part: object, more: object = {}) => ({
    candidates: [{ content: { parts: [part], role: 'model' }, index: 0, ...more }],
    usageMetadata,
  })
  return {
    kind: 'stream',
    pieces: [
      ...parts.map((part) => geminiEvent(chunk(part))),
      geminiEvent(chunk({ text: '' }, { finishReason: 'STOP', ...candidate })),
    ],
  }
}

export function geminiError(code: number, status: string, message = 'Request failed'): Behaviour {
  return { kind: 'reply', status: code, body: { error: { code, message, status } } }
}
