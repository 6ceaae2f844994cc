import { withoutTrailingSlashes } from '../../lib/endpoint-paths.ts'
import { isObject } from '../../lib/json/read.ts'
import type { MaskingService } from './masking.ts'
import type { Match } from './match.ts'

export interface PresidioOptions {
  readonly url: string
  readonly language: string
  readonly minScore: number
  readonly entities: readonly string[] | undefined
}

/** Posts JSON and parses the response as JSON; rejects unless the status is 2xx. */
export type PostJson = (url: string, body: unknown, signal: AbortSignal) => Promise<unknown>

/** Entity types of the analyzer that are renamed here; others keep their name if it is valid for a pseudonym. */
const kinds: Readonly<Record<string, string>> = {
  EMAIL_ADDRESS: 'EMAIL',
  PHONE_NUMBER: 'PHONE',
  IBAN_CODE: 'IBAN',
  CREDIT_CARD: 'CARD',
  IP_ADDRESS: 'IP',
  LOCATION: 'PLACE',
  DATE_TIME: 'DATE',
  ORGANIZATION: 'ORG',
  PL_PESEL: 'PESEL',
  MAC_ADDRESS: 'MAC',
  US_SSN: 'SSN',
  MEDICAL_LICENSE: 'MEDIC',
  NRP: 'GROUP',
}

const maxConcurrentTexts = 4

/** Microsoft Presidio's analyzer. Source: Presidio API, `POST /analyze`; its offsets are in code points, like Python's. */
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
      await Promise.all(Array.from({ length: Math.min(maxConcurrentTexts, texts.length) }, work))
      return found
    },
  }
}

function readFindings(answer: unknown, text: string): Match[] {
  if (!Array.isArray(answer)) throw new Error('the analyzer did not return a list')
  const offsetOf = unitOffsets(text)
  return answer.map((finding: unknown): Match => {
    const { start, end, entity_type: type } = isObject(finding) ? finding : {}
    const from = typeof start === 'number' ? offsetOf(start) : undefined
    const to = typeof end === 'number' ? offsetOf(end) : undefined
    if (from === undefined || to === undefined || to < from || typeof type !== 'string')
      throw new Error('the analyzer returned a finding without offsets')
    const value = text.slice(from, to)
    return { start: from, end: to, kind: kindOf(type), normal: value.normalize('NFKC').toLowerCase() }
  })
}

function kindOf(type: string): string {
  const sanitized =
    kinds[type] ??
    type
      .replaceAll(/[^A-Za-z]/g, '')
      .toUpperCase()
      .slice(0, 7)
  return sanitized.length < 2 ? 'ENTITY' : sanitized
}

/** Converts an offset in code points to UTF-16 units. */
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
