import { setTimeout as pause } from 'node:timers/promises'
import { openaiDone } from '../helpers/upstream-answers.ts'
import { ask } from './ask.ts'
import type { Ledger } from './ledger.ts'
import { type Marker, newMarker } from './marker.ts'

/** What the good clients of a model ask for. */
export type Wish = 'chat' | 'image' | 'embedding'

export interface GoodClient {
  url: string
  model: string
  wishes: readonly Wish[]
  key: string
  /** Between two requests, at most. */
  pauseMs: number
  timeoutMs: number
  random: () => number
  ledger: Ledger
  nextNumber: () => number
}

/** Asks until `untilMs`, and settles every request: answered whole and with its own marker, or lost. */
export async function runGoodClient(client: GoodClient, untilMs: number): Promise<void> {
  const { url, model, wishes, key, timeoutMs, random, ledger } = client
  while (performance.now() < untilMs) {
    const marker = newMarker('good', client.nextNumber())
    const wish = wishes[Math.floor(random() * wishes.length)] ?? 'chat'
    const stream = wish !== 'embedding' && random() < 0.5
    const ollama = wish === 'chat' && random() < 0.3
    const path = wish === 'embedding' ? '/v1/embeddings' : ollama ? '/api/chat' : '/v1/chat/completions'
    const seen = await ask({ url: url + path, body: bodyOf(model, wish, marker, stream), key, timeoutMs })
    const end = !stream ? '' : ollama ? '"done":true' : openaiDone
    ledger.settle(model, marker, seen, faultOf(seen, marker, wish, end))
    await pause(random() * client.pauseMs)
  }
}

function bodyOf(model: string, wish: Wish, { text }: Marker, stream: boolean): object {
  if (wish === 'embedding') return { model, input: text }
  const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } }
  const content = wish === 'image' ? [{ type: 'text', text }, image] : text
  return { model, stream, messages: [{ role: 'user', content }] }
}

function faultOf(
  { status, text, broken }: { status: number; text: string; broken: string | undefined },
  marker: Marker,
  wish: Wish,
  end: string,
): string | undefined {
  if (broken === 'timeout') return 'no end of the answer'
  if (broken !== undefined) return 'the connection broke'
  if (status !== 200) return 'refused'
  if (text.includes('"error"')) return 'an error in the stream'
  if (!text.includes(end)) return 'no end marker'
  const number = /\d+/.exec(marker.text)?.[0] ?? ''
  if (wish === 'embedding') return text.includes(`[${number},0.5]`) ? undefined : "another request's answer"
  const said = Array.from(text.matchAll(/"content":"((?:[^"\\]|\\.)*)"/g), ([, part]) => part).join('')
  return said === marker.text ? undefined : `another answer: ${said.slice(0, 60)}`
}
