import { isObject } from '../../lib/json/read.ts'
import { withoutTrailingSlashes } from '../../lib/trailing-slashes.ts'
import type { MaskingService } from './masking.ts'
import type { Match } from './match.ts'

export interface PresidioOptions {
  readonly url: string
  readonly language: string
  readonly minScore: number
  readonly entities: readonly string[] | undefined
}

/** Sends JSON and reads JSON; rejects for any other answer than one with status 2xx. */
export type PostJson = (url: string, body: unknown, signal: AbortSignal) => Promise<unknown>

/** Kinds of the analyzer whose pseudonyms have another name here; others keep their own, as far as it fits. */
const kinds: Readonly<Record<string, string>> = {
  ...{ EMAIL_ADDRESS: 'EMAIL', PHONE_NUMBER: 'PHONE', IBAN_CODE: 'IBAN', CREDIT_CARD: 'CARD' },
  ...{ IP_ADDRESS: 'IP', LOCATION: 'PLACE', DATE_TIME: 'DATE', ORGANIZATION: 'ORG', PL_PESEL: 'PESEL' },
  ...{ MAC_ADDRESS: 'MAC', US_SSN: 'SSN', MEDICAL_LICENSE: 'MEDIC', NRP: 'GROUP' },
}

const textsAtOnce = 4

/** Microsoft Presidio's analyzer. Source: Presidio API, `POST /analyze`; its offsets count characters of Python: code points. */
export function presidio(
  { url, language, minScore, entities }: PresidioOptions,
  post: PostJson,
): MaskingService {
  const address = `${withoutTrailingSlashes(url)}/analyze`
  const ask = async (text: string, signal: AbortSignal): Promise<Match[]> => {
    if (text.trim() === '') return []
    const body = { text, language, score_threshold: minScore, ...(entities && { entities }) }
    return readFindings(await post(address, body, signal), text)
  }
  return {
    name: 'presidio',
    async find(texts, signal) {
      const found: Match[][] = []
      const queue = texts.entries()
      const work = async (): Promise<void> => {
        for (const [index, text] of queue) found[index] = await ask(text, signal)
      }
      await Promise.all(Array.from({ length: Math.min(textsAtOnce, texts.length) }, work))
      return found
    },
  }
}

function readFindings(answer: unknown, text: string): Match[] {
  if (!Array.isArray(answer)) throw new Error('the analyzer answered no list')
  const offsetOf = unitOffsets(text)
  return answer.map((finding: unknown): Match => {
    const { start, end, entity_type: type } = isObject(finding) ? finding : {}
    const from = typeof start === 'number' ? offsetOf(start) : undefined
    const to = typeof end === 'number' ? offsetOf(end) : undefined
    if (from === undefined || to === undefined || to < from || typeof type !== 'string')
      throw new Error('the analyzer answered a finding without its place')
    const value = text.slice(from, to)
    return { start: from, end: to, kind: kindOf(type), normal: value.normalize('NFKC').toLowerCase() }
  })
}

function kindOf(type: string): string {
  const own =
    kinds[type] ??
    type
      .replaceAll(/[^A-Za-z]/g, '')
      .toUpperCase()
      .slice(0, 7)
  return own.length < 2 ? 'ENTITY' : own
}

/** The offset in UTF-16 units for one in code points. */
function unitOffsets(text: string): (points: number) => number | undefined {
  const offsets: number[] = []
  let at = 0
  for (const character of text) {
    offsets.push(at)
    at += character.length
  }
  offsets.push(at)
  return (points) => offsets[points]
}
