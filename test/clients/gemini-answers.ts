import { type Behaviour, upstreamModel } from '../helpers/scripted-upstream.ts'

/** 9 tokens of prompt, 4 of them cached, and 3 of answer. */
const usageMetadata = {
  promptTokenCount: 9,
  candidatesTokenCount: 3,
  totalTokenCount: 12,
  cachedContentTokenCount: 4,
}

const head = { modelVersion: upstreamModel, responseId: 'upstream-id' }

/** A whole answer of Gemini with these parts; `candidate` adds to it or changes it. */
export function geminiAnswer(parts: readonly object[], candidate: object = {}): Behaviour {
  const candidates = [{ content: { parts, role: 'model' }, finishReason: 'STOP', index: 0, ...candidate }]
  return { kind: 'reply', body: { candidates, usageMetadata, ...head } }
}

export function geminiText(text: string): Behaviour {
  return geminiAnswer([{ text }])
}

/** As Google's servers end their events. */
export function geminiEvent(data: object): string {
  return `data: ${JSON.stringify({ ...data, ...head })}\r\n\r\n`
}

/** A stream with one event for each part, then the reason to stop; nothing marks its end. */
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
