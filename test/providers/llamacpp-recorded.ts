import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Behaviour } from '../helpers/scripted-upstream.ts'

interface RecordedAnswer {
  status: number
  type: string
  text: string
}

/** One request with the response of llama-server b10434, whole and as a stream with token counts. */
export interface Recorded {
  name: string
  path: string
  body: Record<string, unknown>
  whole: RecordedAnswer
  stream: RecordedAnswer
}

export const recorded: readonly Recorded[] = JSON.parse(
  readFileSync(join(import.meta.dirname, '../fixtures/llamacpp/recorded.json'), 'utf8'),
)

export function recordedAs(name: string): Recorded {
  const found = recorded.find((each) => each.name === name)
  if (!found) throw new Error(`nothing is recorded as ${name}`)
  return found
}

/** What the server did for a request with this body. */
export function replay({ whole, stream }: Recorded, body: unknown): Behaviour {
  const { status, type, text } = Object(body).stream === true ? stream : whole
  return { kind: 'reply', status, headers: { 'content-type': type }, body: text }
}

/** A response without what varies between runs: ids, times and the model's name. Of timings only the names are kept. */
export function comparable(answer: unknown): unknown {
  if (Array.isArray(answer)) return answer.map(comparable)
  if (typeof answer !== 'object' || answer === null) return answer
  return Object.fromEntries(
    Object.entries(answer).map(([name, value]) => {
      if (['id', 'created', 'model', 'time_ms'].includes(name)) return [name, typeof value]
      return [name, name === 'timings' ? Object.keys(Object(value)).sort() : comparable(value)]
    }),
  )
}
