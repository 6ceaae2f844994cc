import type { BuiltInKind } from '../../src/sdk/masked-kinds.ts'

/** 0 (inclusive) to 1 (exclusive). */
export type Random = () => number

export function pick<T>(random: Random, list: readonly T[]): T {
  const found = list[Math.floor(random() * list.length)]
  if (found === undefined) throw new Error('nothing to pick from')
  return found
}

export function digits(random: Random, count: number): string {
  return Array.from({ length: count }, () => Math.floor(random() * 10)).join('')
}

export function letters(random: Random, count: number, from = 'abcdefghijklmnopqrstuvwxyz'): string {
  return Array.from({ length: count }, () => pick(random, [...from])).join('')
}

/** Composed of syllables: the names of no real people. */
function word(random: Random): string {
  const syllables = ['bro', 'ka', 'lin', 'mo', 'ren', 'sta', 'tul', 'wer', 'zan', 'fi', 'gor', 'del']
  return pick(random, syllables) + pick(random, syllables)
}

function weightedSum(text: string, weights: readonly number[]): number {
  return weights.reduce((sum, weight, index) => sum + weight * Number.parseInt(text[index] ?? '0', 36), 0)
}

function luhnDigit(text: string): number {
  let sum = 0
  for (const [index, digit] of [...text].toReversed().entries()) {
    const doubled = index % 2 === 0 ? Number(digit) * 2 : Number(digit)
    sum += doubled > 9 ? doubled - 9 : doubled
  }
  return (10 - (sum % 10)) % 10
}

function pesel(random: Random): string {
  const year = 40 + Math.floor(random() * 60)
  const month = 1 + Math.floor(random() * 12)
  const day = 1 + Math.floor(random() * 28)
  const pad = (part: number): string => String(part).padStart(2, '0')
  return peselOf(pad(year) + pad(month) + pad(day) + digits(random, 4))
}

function peselOf(begun: string): string {
  return begun + String((10 - (weightedSum(begun, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10)) % 10)
}

function nip(random: Random): string {
  for (;;) {
    const begun = String(1 + Math.floor(random() * 9)) + digits(random, 8)
    const check = weightedSum(begun, [6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11
    if (check < 10) return begun + String(check)
  }
}

function regon(random: Random): string {
  const begun = digits(random, 8)
  return begun + String((weightedSum(begun, [8, 9, 2, 3, 4, 5, 6, 7]) % 11) % 10)
}

function longRegon(random: Random): string {
  const begun = regon(random) + digits(random, 4)
  return begun + String((weightedSum(begun, [2, 4, 8, 5, 0, 9, 7, 3, 6, 1, 2, 4, 8]) % 11) % 10)
}

function identityCard(random: Random): string {
  const head = letters(random, 3, 'ABCDEFGHIJKLMNOPRSTUWXYZ')
  const tail = digits(random, 5)
  for (let check = 0; check < 10; check++) {
    const card = head + String(check) + tail
    if (weightedSum(card, [7, 3, 1, 9, 7, 3, 1, 7, 3]) % 10 === 0) return card
  }
  throw new Error('no check digit fits')
}

function iban(random: Random): string {
  const [country, account] = pick(random, [
    ['PL', digits(random, 24)],
    ['DE', digits(random, 18)],
    ['FR', digits(random, 23)],
    ['NL', `ABNA${digits(random, 10)}`],
    ['GB', `WEST${digits(random, 14)}`],
  ] as const)
  const compact = ibanOf(country, account)
  return random() < 0.5 ? compact : compact.replaceAll(/(.{4})(?=.)/g, '$1 ')
}

function ibanOf(country: string, account: string): string {
  let remainder = 0
  for (const character of `${account}${country}00`) {
    const value = Number.parseInt(character, 36)
    remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97
  }
  return country + String(98 - remainder).padStart(2, '0') + account
}

function card(random: Random): string {
  const begun = pick(random, [
    `4${digits(random, 14)}`,
    `5${1 + Math.floor(random() * 5)}${digits(random, 13)}`,
    `37${digits(random, 12)}`,
  ])
  const number = begun + String(luhnDigit(begun))
  const separator = pick(random, ['', ' ', '-'])
  return number.length === 15 ? number : number.replaceAll(/(\d{4})(?=\d)/g, `$1${separator}`)
}

function phone(random: Random): string {
  const mobile = `${pick(random, ['501', '602', '693', '781', '885', '537'])}${digits(random, 6)}`
  const group = (separator: string): string => mobile.replaceAll(/(\d{3})(?=\d)/g, `$1${separator}`)
  return pick(random, [
    `+48 ${group(' ')}`,
    `+48${mobile}`,
    group(' '),
    group('-'),
    mobile,
    `0048 ${group(' ')}`,
    `(22) 6${digits(random, 2)} ${digits(random, 2)} ${digits(random, 2)}`,
    `+44 7700 900${digits(random, 3)}`,
    `(415) 55${2 + Math.floor(random() * 7)}-${digits(random, 4)}`,
    `+1 212-55${2 + Math.floor(random() * 7)}-${digits(random, 4)}`,
    `+49 30 ${digits(random, 4)}${1 + Math.floor(random() * 9)}${digits(random, 3)}`,
  ])
}

function email(random: Random): string {
  const local = pick(random, [
    `${word(random)}.${word(random)}`,
    `${word(random)}_${word(random)}${digits(random, 2)}`,
    `${letters(random, 1)}${word(random)}`,
    `${word(random)}+${word(random)}`,
    `${word(random)}-${word(random)}`,
  ])
  const domain = pick(random, [
    'example.com',
    'poczta.example.pl',
    'mail.example.org',
    'żółw.example',
    'firma.example.eu',
  ])
  return `${local}@${domain}`
}

const months = ['stycznia', 'marca', 'maja', 'lipca', 'września', 'listopada']
const english = ['January', 'March', 'May', 'July', 'September', 'November']

export function date(random: Random): string {
  const [day, month] = [1 + Math.floor(random() * 28), 1 + Math.floor(random() * 12)]
  const year = 1945 + Math.floor(random() * 65)
  const pad = (part: number): string => String(part).padStart(2, '0')
  return pick(random, [
    `${pad(day)}.${pad(month)}.${year}`,
    `${year}-${pad(month)}-${pad(day)}`,
    `${pad(day)}/${pad(month)}/${year}`,
    `${day} ${pick(random, months)} ${year}`,
    `${pick(random, english)} ${day}, ${year}`,
    `${day} ${pick(random, english)} ${year}`,
  ])
}

function secret(random: Random): string {
  const long = (count: number): string =>
    letters(random, count, 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789')
  return pick(random, [
    `sk-proj-${long(40)}`,
    `sk-ant-${long(40)}`,
    `AKIA${letters(random, 16, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567')}`,
    `ghp_${long(36)}`,
    `glpat-${long(20)}`,
    `xoxb-${digits(random, 12)}-${long(24)}`,
    `AIza${long(35)}`,
    `hf_${long(34)}`,
    `sk_live_${long(24)}`,
    `eyJ${long(20)}.eyJ${long(40)}.${long(43)}`,
    `npm_${long(36)}`,
  ])
}

const hex = '0123456789abcdef'

/** Numbers with their check digits, without separators. */
export const numbers = { pesel, peselOf, nip, regon, longRegon, identityCard, luhnDigit, iban: ibanOf }

/** Valid values of each kind. They belong to no real person. */
export const values: Readonly<Record<BuiltInKind, (random: Random) => string>> = {
  EMAIL: email,
  PHONE: phone,
  IBAN: iban,
  CARD: card,
  IP: (random) =>
    pick(random, [
      `192.168.${Math.floor(random() * 255)}.${1 + Math.floor(random() * 250)}`,
      `10.${Math.floor(random() * 255)}.${Math.floor(random() * 255)}.${1 + Math.floor(random() * 250)}`,
      `203.0.113.${1 + Math.floor(random() * 250)}`,
      `2001:db8:${letters(random, 4, hex)}::${1 + Math.floor(random() * 9)}${letters(random, 2, hex)}`,
      `fe80::${letters(random, 4, '123456789abcdef')}:${letters(random, 4, '123456789abcdef')}:1`,
    ]),
  MAC: (random) => {
    const separator = pick(random, [':', '-'])
    const address = Array.from({ length: 6 }, () => letters(random, 2, hex)).join(separator)
    return random() < 0.5 ? address : address.toUpperCase()
  },
  URL: (random) =>
    pick(random, [
      `postgres://${word(random)}:${letters(random, 10)}@db.example.com:5432/app`,
      `https://${word(random)}:${letters(random, 8)}@files.example.org/x`,
      `https://api.example.com/v1/items?api_key=${letters(random, 24)}`,
      `redis://:${letters(random, 12)}@cache.example.net:6379`,
      `https://example.com/hook?token=${letters(random, 20)}&x=1`,
    ]),
  SECRET: secret,
  PESEL: pesel,
  NIP: (random) => {
    const number = nip(random)
    return pick(random, [
      number,
      number.replace(/(\d{3})(\d{3})(\d\d)(\d\d)/, '$1-$2-$3-$4'),
      number.replace(/(\d{3})(\d\d)(\d\d)(\d{3})/, '$1-$2-$3-$4'),
      `PL${number}`,
    ])
  },
  REGON: regon,
  IDCARD: (random) => {
    const number = identityCard(random)
    return random() < 0.6 ? number : `${number.slice(0, 3)} ${number.slice(3)}`
  },
  BIRTH: date,
}
