/** Digits of a text; letters and separators are omitted. */
export function digitsOf(text: string): string {
  return text.replaceAll(/\D/g, '')
}

function weighted(digits: string, weights: readonly number[]): number {
  return weights.reduce((sum, weight, index) => sum + weight * Number(digits[index]), 0)
}

/** Luhn's check, of payment cards. Source: ISO/IEC 7812-1, annex B. */
export function isLuhn(digits: string): boolean {
  let sum = 0
  for (let at = 0; at < digits.length; at++) {
    const digit = Number(digits[digits.length - 1 - at])
    const doubled = at % 2 === 1 ? digit * 2 : digit
    sum += doubled > 9 ? doubled - 9 : doubled
  }
  return sum % 10 === 0
}

/** Source: ISO 13616-1, the remainder of 97. `iban`: letters and digits alone, in capitals. */
export function isIban(iban: string): boolean {
  if (!/^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$/.test(iban)) return false
  const length = ibanLengths[iban.slice(0, 2)]
  if (length !== undefined && length !== iban.length) return false
  let remainder = 0
  for (const character of iban.slice(4) + iban.slice(0, 4)) {
    const value = Number.parseInt(character, 36)
    remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97
  }
  return remainder === 1
}

/** Lengths of the larger countries that use them. Source: SWIFT, IBAN registry. */
const ibanLengths: Readonly<Record<string, number>> = {
  AT: 20,
  BE: 16,
  BG: 22,
  CH: 21,
  CY: 28,
  CZ: 24,
  DE: 22,
  DK: 18,
  EE: 20,
  ES: 24,
  FI: 18,
  FR: 27,
  GB: 22,
  GR: 27,
  HR: 21,
  HU: 28,
  IE: 22,
  IL: 23,
  IT: 27,
  LI: 21,
  LT: 20,
  LU: 20,
  LV: 21,
  MT: 31,
  NL: 18,
  NO: 15,
  PL: 28,
  PT: 25,
  RO: 24,
  SA: 24,
  SE: 24,
  SI: 19,
  SK: 24,
  TR: 26,
  UA: 29,
}

/** Source: Polish Act on the population register, article 15: a date of birth, a serial number and a check digit. */
export function isPesel(digits: string): boolean {
  if (digits.length !== 11) return false
  if ((weighted(digits, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) + Number(digits[10])) % 10 !== 0) return false
  const month = Number(digits.slice(2, 4)) % 20
  return month >= 1 && month <= 12 && isDay(2000, month, Number(digits.slice(4, 6)))
}

/** Source: Polish tax identification number, weights of its check digit. */
export function isNip(digits: string): boolean {
  if (digits.length !== 10 || digits.startsWith('00')) return false
  return weighted(digits, [6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11 === Number(digits[9])
}

/** Source: Statistics Poland, REGON, numbers of 9 and of 14 digits. */
export function isRegon(digits: string): boolean {
  const check = (weights: readonly number[]) =>
    (weighted(digits, weights) % 11) % 10 === Number(digits[weights.length])
  if (digits.length === 9) return check([8, 9, 2, 3, 4, 5, 6, 7])
  return digits.length === 14 && isRegon(digits.slice(0, 9)) && check([2, 4, 8, 5, 0, 9, 7, 3, 6, 1, 2, 4, 8])
}

/** A Polish identity card: three letters and six digits, of which the first one checks the others. */
export function isIdentityCard(text: string): boolean {
  if (!/^[A-Z]{3}\d{6}$/.test(text)) return false
  const weights = [7, 3, 1, 9, 7, 3, 1, 7, 3]
  const sum = weights.reduce(
    (before, weight, index) => before + weight * Number.parseInt(text[index] ?? '0', 36),
    0,
  )
  return sum % 10 === 0
}

/** Whether a month has such a day. */
export function isDay(year: number, month: number, day: number): boolean {
  return month >= 1 && month <= 12 && day >= 1 && day <= new Date(Date.UTC(year, month, 0)).getUTCDate()
}
