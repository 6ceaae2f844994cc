import { digitsOf, isDay, isIban, isIdentityCard, isLuhn, isNip, isPesel, isRegon } from './checksums.ts'
import { isNear, type Match } from './match.ts'

/** Digits within a longer number or a word do not match. */
const before = '(?<![\\p{L}\\p{N}_.,/+-])'
const after = '(?![\\p{L}\\p{N}_]|[.,/-]\\p{N})'

function* each(
  text: string,
  expression: RegExp,
  read: (found: string, at: number) => { kind: string; normal: string } | undefined,
): Generator<Match> {
  for (const { 0: found, index } of text.matchAll(expression)) {
    const value = read(found, index)
    if (value) yield { start: index, end: index + found.length, ...value }
  }
}

const pesel = new RegExp(`(?<![\\p{N}_.,/+-])(?<!\\p{L}\\p{N}*)\\d{11}${after}`, 'gu')

export function findPesel(text: string): Iterable<Match> {
  return each(text, pesel, (digits) => (isPesel(digits) ? { kind: 'PESEL', normal: digits } : undefined))
}

const nip = new RegExp(
  `${before}(?:PL[ -]?)?(?:\\d{10}|\\d{3}[ -]\\d{3}[ -]\\d{2}[ -]\\d{2}|\\d{3}[ -]\\d{2}[ -]\\d{2}[ -]\\d{3})${after}`,
  'gu',
)
const nipWords = /\b(?:nip|vat|tax|podatk)/i

/** Ten digits without separators are ambiguous: a preceding word must name them. */
export function findNip(text: string): Iterable<Match> {
  return each(text, nip, (found, at) => {
    const digits = digitsOf(found)
    if (!isNip(digits)) return undefined
    const isFormed = /^PL/.test(found) || found.includes('-')
    return isFormed || isNear(text, at, nipWords) ? { kind: 'NIP', normal: digits } : undefined
  })
}

const regon = new RegExp(`${before}(?:\\d{14}|\\d{9}|\\d{3}[ -]\\d{3}[ -]\\d{3})${after}`, 'gu')
const regonWords = /regon/i

export function findRegon(text: string): Iterable<Match> {
  return each(text, regon, (found, at) => {
    const digits = digitsOf(found)
    return isRegon(digits) && isNear(text, at, regonWords) ? { kind: 'REGON', normal: digits } : undefined
  })
}

const identityCard = new RegExp(`(?<![\\p{L}\\p{N}_])[A-Za-z]{3}[ -]?\\d{6}${after}`, 'gu')
const codeWords =
  /(?:zam[oó]wieni|faktur|paragon|produkt|artyku|seryjn|katalog|order|invoice|part|model|sku|serial|ticket|bilet|wersj|build)\S*(?:\s+(?:nr|no\.?|number|numer|#|o))*[\s.:#]*$/i

export function findIdentityCard(text: string): Iterable<Match> {
  return each(text, identityCard, (found, at) => {
    const normal = found.replaceAll(/[ -]/g, '').toUpperCase()
    if (!isIdentityCard(normal) || isNear(text, at, codeWords)) return undefined
    return { kind: 'IDCARD', normal }
  })
}

const card = new RegExp(`${before}\\d(?:[ -]?\\d){12,18}${after}`, 'gu')
/** Visa, Mastercard, American Express, Discover, Diners, JCB, UnionPay, Maestro. */
const cardNetworks =
  /^(?:4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|6(?:011|5\d\d|4[4-9]\d)\d{12}|3(?:0[0-5]|[68]\d)\d{11}|35(?:2[89]|[3-8]\d)\d{12}|62\d{14,17}|(?:5018|5020|5038|6304|6759|676[1-3])\d{8,15})$/

export function findCard(text: string): Iterable<Match> {
  return each(text, card, (found) => {
    const digits = digitsOf(found)
    return cardNetworks.test(digits) && isLuhn(digits) ? { kind: 'CARD', normal: digits } : undefined
  })
}

const iban =
  /(?<![\p{L}\p{N}_])(?:[A-Za-z]{2}[ -]?\d{2}(?:[ -]?[A-Za-z0-9]){11,30}|\d{2}(?:[ -]?\d){24})(?![\p{L}\p{N}_])/gu

/** Without separators, or in groups of four. */
const inGroups =
  /^(?:[A-Z]{2}[ -]?\d{2}(?:[ -]?[A-Z0-9]{4})+(?:[ -]?[A-Z0-9]{1,3})?|\d{2}(?:[ -]?\d{4}){6})$/i

/** Polish account numbers are often written without the country code. */
export function* findIban(text: string): Generator<Match> {
  for (const { 0: found, index } of text.matchAll(iban)) {
    const whole = ibanIn(found, index)
    if (whole) yield whole
    else {
      // A word of two letters in front of an account number looks like a country: "na 12 3456 ...".
      const [word] = /^[A-Za-z]{2}[ -]/.exec(found) ?? []
      const match = word === undefined ? undefined : ibanIn(found.slice(word.length), index + word.length)
      if (match) yield match
    }
  }
}

/** Words that follow an IBAN look like a part of it, so the longest candidate is tried first. */
function ibanIn(found: string, index: number): Match | undefined {
  for (let end = found.length; end >= 15; end = previousGroupEnd(found, end)) {
    const compact = found.slice(0, end).replaceAll(/[ -]/g, '').toUpperCase()
    const normal = /^\d{26}$/.test(compact) ? `PL${compact}` : compact
    if (inGroups.test(found.slice(0, end)) && isIban(normal))
      return { start: index, end: index + end, kind: 'IBAN', normal }
  }
  return undefined
}

/** End of the group before the last one. */
function previousGroupEnd(found: string, end: number): number {
  const space = Math.max(found.lastIndexOf(' ', end - 1), found.lastIndexOf('-', end - 1))
  return space
}

const months =
  'stycznia|lutego|marca|kwietnia|maja|czerwca|lipca|sierpnia|września|wrzesnia|października|pazdziernika|listopada|grudnia|' +
  'january|february|march|april|may|june|july|august|september|october|november|december|' +
  'jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec'
const monthNumbers: Readonly<Record<string, number>> = {
  sty: 1,
  lut: 2,
  mar: 3,
  kwi: 4,
  maj: 5,
  cze: 6,
  lip: 7,
  sie: 8,
  wrz: 9,
  paź: 10,
  paz: 10,
  lis: 11,
  gru: 12,
  jan: 1,
  feb: 2,
  apr: 4,
  may: 5,
  jun: 6,
  jul: 7,
  aug: 8,
  sep: 9,
  oct: 10,
  nov: 11,
  dec: 12,
}
const date = new RegExp(
  `(?<![\\p{L}\\p{N}_.,/-])(?:(\\d{4})[-./](\\d{1,2})[-./](\\d{1,2})|(\\d{1,2})[-./ ](\\d{1,2})[-./ ](\\d{4})|(\\d{1,2})(?:st|nd|rd|th|\\.)?(?: of)? (${months})\\.?,? (\\d{4})|(${months})\\.? (\\d{1,2})(?:st|nd|rd|th)?,? (\\d{4}))(?![\\p{L}\\p{N}_])`,
  'giu',
)
const birthBefore = /(?:\bur\.|urodz|data ur|\bborn\b|birth|\bd\.?o\.?b\b)[^\n.;!?]{0,4}(?:[^\n;!?]{0,34})$/i
const birthAfter =
  /^,?\s*(?:r\.\s*)?(?:\(?(?:data urodzenia|date of birth|dob)\b|to (?:moja |jego |jej )?data urodzenia|is (?:my|his|her|their) (?:birthday|date of birth)|urodził)/i

/** Only dates of birth are masked: a preceding word must identify the date as one. */
export function* findBirthDates(text: string): Generator<Match> {
  for (const match of text.matchAll(date)) {
    const { 0: found, index } = match
    const normal = isoDate(match)
    if (normal === undefined) continue
    const following = text.slice(index + found.length, index + found.length + 40)
    if (isNear(text, index, birthBefore, 48) || birthAfter.test(following))
      yield { start: index, end: index + found.length, kind: 'BIRTH', normal }
  }
}

function isoDate(match: RegExpMatchArray): string | undefined {
  const [, y1, m1, d1, d2, m2, y2, d3, n3, y3, n4, d4, y4] = match
  const year = Number(y1 ?? y2 ?? y3 ?? y4)
  const name = n3 ?? n4
  const first = Number(m1 ?? m2)
  const day = Number(d1 ?? d2 ?? d3 ?? d4)
  const month = name === undefined ? first : (monthNumbers[name.slice(0, 3).toLowerCase()] ?? 0)
  if (year < 1900 || year > 2100) return undefined
  if (isDay(year, month, day)) return `${year}-${month}-${day}`
  // The American order, month first.
  return y2 !== undefined && isDay(year, day, month) ? `${year}-${day}-${month}` : undefined
}
