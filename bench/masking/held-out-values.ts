import type { BuiltInKind } from '../../src/sdk/masked-kinds.ts'
import { digits, letters, numbers, pick, type Random } from './values.ts'

/** Valid values in spellings that the tuned corpus does not have. They belong to no real person. */
export const heldOutValues: Readonly<Record<BuiltInKind, (random: Random) => string>> = {
  EMAIL: (random) =>
    pick(random, [
      `k.nowicka${digits(random, 2)}@student.uczelnia.example`,
      `BIURO@Firma-${digits(random, 2)}.EXAMPLE`,
      `o'hara@post.example.ie`,
      `first_last+tag${digits(random, 3)}@a.b.example.co.uk`,
      'j.müller@straße.example',
      `${letters(random, 3)}@${letters(random, 5)}.example.museum`,
      `${digits(random, 6)}@qq.example.com`,
      'łukasz@poczta.example.pl',
    ]),
  PHONE: (random) =>
    pick(random, [
      `+48-602-${digits(random, 3)}-${digits(random, 3)}`,
      `602.${digits(random, 3)}.${digits(random, 3)}`,
      `22 5${digits(random, 2)} ${digits(random, 2)} ${digits(random, 2)}`,
      `+48 (12) 4${digits(random, 2)}-${digits(random, 2)}-${digits(random, 2)}`,
      `48 512 ${digits(random, 3)} ${digits(random, 3)}`,
      `+1 (415) 555-2${digits(random, 3)}`,
      `415.555.2${digits(random, 3)}`,
      '020 7946 0958',
      `07700 900${digits(random, 3)}`,
      `+44 (0)20 7946 0${digits(random, 3)}`,
      `+33 1 42 ${digits(random, 2)} ${digits(random, 2)} ${digits(random, 2)}`,
      `+420 601 ${digits(random, 3)} ${digits(random, 3)}`,
    ]),
  IBAN(random) {
    const country = pick(random, ['PL', 'AT', 'CH', 'ES', 'CZ', 'BE', 'PL'] as const)
    const lengths = { PL: 24, AT: 16, CH: 17, ES: 20, CZ: 20, BE: 12 }
    const number = numbers.iban(country, digits(random, lengths[country]))
    const grouped = number.replaceAll(/(.{4})(?=.)/g, '$1 ')
    const spellings = [number, grouped, number.toLowerCase(), grouped.replaceAll(' ', '-')]
    // As Polish banks print them for domestic payers.
    const atHome = number
      .slice(2)
      .replace(/^(..)/, '$1 ')
      .replaceAll(/(\d{4})(?=\d)/g, '$1 ')
    return pick(random, country === 'PL' ? [...spellings, atHome, atHome, number.slice(2)] : spellings)
  },
  CARD(random) {
    const begun = pick(random, [
      `2221${digits(random, 11)}`,
      `6011${digits(random, 11)}`,
      `4${digits(random, 14)}`,
      `34${digits(random, 12)}`,
    ])
    const number = begun + String(numbers.luhnDigit(begun))
    if (number.length === 15) return number.replace(/^(\d{4})(\d{6})/, '$1 $2 ')
    return number.replaceAll(/(\d{4})(?=\d)/g, `$1${pick(random, ['', ' ', '\u00a0'])}`)
  },
  IP: (random) =>
    pick(random, [
      `172.16.${digits(random, 1)}.1${digits(random, 2)}`,
      `8.8.4.1${digits(random, 1)}`,
      `198.51.100.${1 + Math.floor(random() * 9)}`,
      `85.12.2${digits(random, 1)}.1${digits(random, 2)}`,
      `2001:0DB8:85A3:0000:0000:8A2E:0370:7${digits(random, 3)}`,
      `2a02:a31a:${letters(random, 4, hex)}:1${digits(random, 2)}::2`,
      `fd00::1${letters(random, 3, hex)}`,
      `::ffff:192.0.2.${1 + Math.floor(random() * 9)}`,
    ]),
  MAC(random) {
    const pairs = Array.from({ length: 6 }, () => letters(random, 2, hex))
    return pick(random, [
      pairs.join(':'),
      pairs.join('-').toUpperCase(),
      `${pairs[0]}${pairs[1]}.${pairs[2]}${pairs[3]}.${pairs[4]}${pairs[5]}`,
    ])
  },
  URL: (random) =>
    pick(random, [
      `mysql://root:${letters(random, 8)}@10.0.0.5/sklep`,
      `amqps://worker:${letters(random, 12)}@mq.example.net:5671/vhost`,
      `https://oauth2:${letters(random, 20)}@git.example.com/team/repo.git`,
      `mongodb+srv://app:${letters(random, 10)}@cluster0.example.mongodb.net/db`,
      `ftp://ania:${letters(random, 6)}@ftp.example.pl/in`,
      `https://api.example.com/v2/me?access_token=${letters(random, 32)}`,
      `https://files.example.com/a.pdf?X-Amz-Signature=${letters(random, 64, hex)}&X-Amz-Date=20260101T000000Z`,
      `https://example.com/cb?state=1&client_secret=${letters(random, 24)}`,
      `smtp://mailer%40example.com:${letters(random, 9)}@smtp.example.com:587`,
    ]),
  SECRET(random) {
    const any = (count: number): string => letters(random, count, alphanumeric)
    return pick(random, [
      `github_pat_${any(22)}_${any(59)}`,
      `gho_${any(36)}`,
      `ASIA${letters(random, 16, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567')}`,
      `sk-${any(20)}T3BlbkFJ${any(20)}`,
      `SG.${any(22)}.${any(43)}`,
      `ya29.a0${any(60)}`,
      `xoxp-${digits(random, 11)}-${digits(random, 12)}-${any(32)}`,
      `rk_live_${any(24)}`,
      `whsec_${any(32)}`,
      `gsk_${any(52)}`,
      `glpat-${any(20)}`,
      `pypi-AgEIcHlwaS5vcmc${any(60)}`,
      `eyJhbGciOiJSUzI1NiJ9.eyJ${any(60)}.${any(86)}`,
    ])
  },
  PESEL: (random) =>
    random() < 0.5
      ? numbers.pesel(random)
      : numbers.peselOf(`0${digits(random, 1)}2${1 + Math.floor(random() * 9)}1${digits(random, 5)}`),
  NIP(random) {
    const number = numbers.nip(random)
    return pick(random, [
      number,
      number.replace(/(\d{3})(\d{3})(\d\d)(\d\d)/, '$1 $2 $3 $4'),
      number.replace(/(\d{3})(\d{3})(\d\d)(\d\d)/, '$1-$2-$3-$4'),
      `PL ${number}`,
    ])
  },
  REGON: (random) => (random() < 0.7 ? numbers.regon(random) : numbers.longRegon(random)),
  IDCARD(random) {
    const number = numbers.identityCard(random)
    return pick(random, [
      number,
      `${number.slice(0, 3)} ${number.slice(3)}`,
      `${number.slice(0, 3)}-${number.slice(3)}`,
      number.toLowerCase(),
    ])
  },
  BIRTH(random) {
    const [day, month] = [1 + Math.floor(random() * 28), 1 + Math.floor(random() * 12)]
    const year = 1940 + Math.floor(random() * 80)
    const pad = (part: number): string => String(part).padStart(2, '0')
    return pick(random, [
      `${day}.${month}.${year}`,
      `${pad(day)}-${pad(month)}-${year}`,
      `${pad(day)}.${pad(month)}.${String(year).slice(2)}`,
      `${month}/${day}/${year}`,
      `${year}.${pad(month)}.${pad(day)}`,
      `${day} ${pick(random, ['lutego', 'kwietnia', 'czerwca', 'sierpnia', 'października', 'grudnia'])} ${year}`,
      `${day} ${pick(random, ['I', 'IV', 'VII', 'X', 'XII'])} ${year}`,
      `${pick(random, ['Feb', 'Apr', 'Jun', 'Aug', 'Oct', 'Dec'])} ${day}, ${year}`,
      `${day} ${pick(random, ['February', 'April', 'June', 'August'])}, ${year}`,
      `${day}th of ${pick(random, ['June', 'October'])} ${year}`,
    ])
  },
}

const hex = '0123456789abcdef'
const alphanumeric = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
