import { createRequire } from 'node:module'
import type { CountryCode } from 'libphonenumber-js/max'
import { isNear, type Match } from './match.ts'

type Library = typeof import('libphonenumber-js/max')

const candidate =
  /(?:(?<=\b(?:tel|kom|mob|fax|faks)\.)|(?<![\p{L}\p{N}_.,/@=#-]))(?:\+|00)?\(?\d(?:[ .()/\u00a0-]{0,3}\d){6,15}(?![\p{L}\p{N}_@]|[.,:/-]\p{N})/giu
const phoneWords =
  /(?:\btel|telefon|phone|mobile|\bcell|\bcall|\bfax|faks|kom[oó]r|\bkom\.|dzwo[nń]|zadzwo|whatsapp|\bsms|numer(?:em)? kontaktow|\bcontact|\breach|\bring\b|infolini|hotline|oddzwo)/i
const otherWords =
  /(?:zam[oó]wieni|faktur|paragon|produkt|artyku|seryjn|katalog|order|invoice|part\b|\bid\b|sku|serial|ticket|bilet|transakc|transaction|identyfikator|indeks|przesy[lł]|paczk|tracking|wersj|version|\bkrs\b|regon|\bnip\b|pesel|isbn|issn|z[lł]otych|\bpln|\busd|\beur|konto|account|polis|sygnatur|\bref)\S*[^.;\n]{0,16}$/i

/** International numbers, and national ones of the given countries. Bare digits need a word that names them. */
export function phoneFinder(countries: readonly string[]): (text: string) => Iterable<Match> {
  const load = createRequire(import.meta.url)
  // Its tables are a tenth of what a start would load, and few routers mask anything: the first number loads them, once.
  let library: Library | undefined
  return function* find(text) {
    for (const { 0: found, index } of text.matchAll(candidate)) {
      // A bracket that opens before the digits closes within them, or is that of a sentence.
      const start = found.startsWith('(') && !found.includes(')') ? index + 1 : index
      const written = found.slice(start - index)
      if (written.includes(')') && !written.includes('(')) continue
      library ??= load('libphonenumber-js/max') as Library
      const number = numberIn(library, written, text, start, countries)
      if (number) yield { start, end: start + written.length, kind: 'PHONE', normal: number }
    }
  }
}

function numberIn(
  { parsePhoneNumberFromString }: Library,
  written: string,
  text: string,
  at: number,
  countries: readonly string[],
): string | undefined {
  if (/^\+|^00/.test(written)) {
    const number = parsePhoneNumberFromString(written.replace(/^00/, '+'))
    return number?.isPossible() ? number.number : undefined
  }
  if (/^\d{4}[-./ ]\d{2}[-./ ]\d{2}$|^\d{2}[-./ ]\d{2}[-./ ]\d{4}$/.test(written)) return undefined
  const isNamed = isNear(text, at, phoneWords)
  if (!isNamed && isNear(text, at, otherWords, 48)) return undefined
  const isFormed = isWrittenAsPhone(written)
  // Digits without a form or a word count only as a mobile number of Poland, if that is the first country. The others are not
  // asked: the library compiles dozens of expressions for one number.
  const possible =
    isNamed || isFormed ? countries : countries.slice(0, 1).filter((country) => country === 'PL')
  for (const country of possible) {
    const number = parsePhoneNumberFromString(written, country as CountryCode)
    // Numbers reserved for examples and films are masked like others.
    const isNumber = isNamed && isFormed ? number?.isPossible() : number?.isValid()
    if (!number || !isNumber || (number.country ?? country) !== country) continue
    if (isNamed || isFormed || number.getType() === 'MOBILE') return number.number
  }
  return undefined
}

/** Digit groups as in phone numbers, rather than the thousands of an amount. */
function isWrittenAsPhone(written: string): boolean {
  return (
    /^\d{3}[ -]\d{3}[ -]\d{3}$/.test(written) ||
    /^\(?\d{2,5}\)?[ -]\d{2,4}[ -]\d{2,4}(?:[ -]\d{2,4})?$/.test(written) ||
    /^\(\d{2,5}\) ?\d{3,4}[ -]?\d{3,4}$/.test(written) ||
    /^\d{3}\.\d{3}\.\d{4}$/.test(written)
  )
}
