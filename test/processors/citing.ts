import assert from 'node:assert/strict'
import { isObject } from '../../src/lib/json/read.ts'
import { startRouter } from '../helpers/router.ts'
import { type Behaviour, type RecordedRequest, startUpstream } from '../helpers/scripted-upstream.ts'

export const address = 'józef.żółw@firma.pl'
export const pseudonym = /EMAIL_[2-9b-df-hj-np-tv-z]{8}/
/** A two-byte character, a three-byte character and a surrogate pair, before and after the value. */
export const before = 'Grüße 🎉 – pisz: '
export const quoted = 'żółta 🐢 łódź'

export interface Setup {
  type: string
  answer(masked: string, request: RecordedRequest): Behaviour
  processors?: unknown[]
  env?: Record<string, string>
}

/** A router with a server that answers with the pseudonym that it received. */
export async function citingRouter(
  { type, answer, processors = [{ type: 'masking' }], env = {} }: Setup,
  open: { close(): Promise<void> }[],
) {
  const upstream = await startUpstream((request) =>
    answer(pseudonym.exec(request.raw.toString())?.[0] ?? 'nothing', request),
  )
  open.push(upstream)
  const providers = [{ api_type: type, api_host: upstream.url, model_path: 'up' }]
  const router = await startRouter({
    models: { processors, g: { m: { providers } }, active_models: { g: ['m'] } },
    env,
  })
  open.push(router)
  return router
}

export type Unit = 'utf8' | 'utf16' | 'code_points'

function length(text: string, unit: Unit): number {
  if (unit === 'utf8') return Buffer.byteLength(text)
  return unit === 'utf16' ? text.length : [...text].length
}

export function slice(text: string, [start, end]: readonly [number, number], unit: Unit): string {
  if (unit === 'utf8') return Buffer.from(text).subarray(start, end).toString()
  return unit === 'utf16' ? text.slice(start, end) : [...text].slice(start, end).join('')
}

/** The range of `part` in `text`. */
export function range(text: string, part: string, unit: Unit): [number, number] {
  const at = text.indexOf(part)
  assert.notEqual(at, -1, part)
  const start = length(text.slice(0, at), unit)
  return [start, start + length(part, unit)]
}

export const stream = (events: readonly object[], named = false): Behaviour => ({
  kind: 'stream',
  pieces: events.map((event) => {
    const name = named && 'type' in event ? `event: ${String(event.type)}\n` : ''
    return `${name}data: ${JSON.stringify(event)}\n\n`
  }),
})

export const characters = (text: string): string[] => [...text]

export function numbers(of: unknown, names: readonly [string, string]): [number, number] {
  const values = names.map((name) => (isObject(of) ? of[name] : undefined))
  assert.ok(
    values.every((value) => typeof value === 'number'),
    JSON.stringify(of),
  )
  return [Number(values[0]), Number(values[1])]
}

export function at(value: unknown, ...path: (string | number)[]): unknown {
  let found = value
  for (const step of path) {
    const container: Record<string | number, unknown> = Object(found)
    found = container[step]
  }
  return found
}
