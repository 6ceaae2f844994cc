import { setTimeout as pause } from 'node:timers/promises'
import { openaiDone } from '../helpers/upstream-answers.ts'
import { ask } from './ask.ts'
import type { Ledger } from './ledger.ts'
import { type Marker, newMarker } from './marker.ts'

/** What the good clients of a model ask for. */
export type RequestKind = 'chat' | 'image' | 'embedding'

export interface GoodClient {
  url: string
  model: string
  kinds: readonly RequestKind[]
  key: string
  /** The longest pause between two requests. */
  pauseMs: number
  timeoutMs: number
  random: () => number
  ledger: Ledger
  nextNumber: () => number
}

/** Sends requests until `untilMs`, and settles each: answered whole with its own marker, or failed. */
export async function runGoodClient(client: GoodClient, untilMs: number): Promise<void> {
  const { url, model, kinds, key, timeoutMs, random, ledger } = client
  while (performance.now() < untilMs) {
    const marker = newMarker('good', client.nextNumber())
    const kind = kinds[Math.floor(random() * kinds.length)] ?? 'chat'
    const stream = kind !== 'embedding' && random() < 0.5
    const ollama = kind === 'chat' && random() < 0.3
    const path = kind === 'embedding' ? '/v1/embeddings' : ollama ? '/api/chat' : '/v1/chat/completions'
    const seen = await ask({ url: url + path, body: bodyOf(model, kind, marker, stream), key, timeoutMs })
    const end = !stream ? '' : ollama ? '"done":true' : openaiDone
    ledger.settle(model, marker, seen, faultOf(seen, marker, kind, end))
    await pause(random() * client.pauseMs)
  }
}

function bodyOf(model: string, kind: RequestKind, { text }: Marker, stream: boolean): object {
  if (kind === 'embedding') return { model, input: text }
  const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } }
  const content = kind === 'image' ? [{ type: 'text', text }, image] : text
  return { model, stream, messages: [{ role: 'user', content }] }
}

function faultOf(
  { status, text, broken }: { status: number; text: string; broken: string | undefined },
  marker: Marker,
  kind: RequestKind,
  end: string,
): string | undefined {
  if (broken === 'timeout') return 'no end of the answer'
  if (broken !== undefined) return 'the connection broke'
  if (status !== 200) return 'refused'
  if (text.includes('"error"')) return 'an error in the stream'
  if (!text.includes(end)) return 'no end marker'
  const number = /\d+/.exec(marker.text)?.[0] ?? ''
  if (kind === 'embedding') return text.includes(`[${number},0.5]`) ? undefined : "another request's answer"
  const said = Array.from(text.matchAll(/"content":"((?:[^"\\]|\\.)*)"/g), ([, part]) => part).join('')
  return said === marker.text ? undefined : `another answer: ${said.slice(0, 60)}`
}
