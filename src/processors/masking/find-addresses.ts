import { isIP, isIPv4 } from 'node:net'
import { isNear, type Match } from './match.ts'

/** The at sign, also percent-encoded, as an HTML entity, or escaped in JSON. */
const atSign = /@|%(?:25){0,3}40|&#0{0,5}64;|&#x0{0,5}40;|&commat;|\\{1,8}u0040/gi
/** Matches after the local part, which is its group. */
const afterLocal = /(?<=([\p{L}\p{M}\p{N}.!#$%&'*+/=?^_`{|}~-]{1,64}))/uy
const maxLocalLength = 64
const quotedLocal = /"[^"\n]{1,62}"$/
/** The ideographic full stop also separates labels. Source: RFC 3490, section 3.1. */
const domainAfter =
  /^(?:[\p{L}\p{N}](?:[\p{L}\p{M}\p{N}-]{0,61}[\p{L}\p{M}\p{N}])?[.\u3002]){1,30}(?:xn--[a-z0-9-]{2,59}|\p{L}{2,24})(?![\p{L}\p{N}])/u

/** Starts at each at sign: a regular expression for whole addresses would take quadratic time on long runs of letters. */
export function* findEmails(text: string): Generator<Match> {
  for (const { 0: sign, index: at } of text.matchAll(atSign)) {
    const after = at + sign.length
    const local = localBefore(text, at)
    const domain = local === '' ? undefined : domainAfter.exec(text.slice(after, after + 255))?.[0]
    if (domain === undefined) continue
    // Leading quotes, brackets and slashes are valid in an address but almost never part of it; an apostrophe within a name is.
    const localPart = local.startsWith('"')
      ? local
      : local
          .replace(/^[.!#$%&'*/=?^`{|}~]+/, '')
          .replace(/^.*(?:mailto:|[="/|]|(?<!\p{L})'|'(?!\p{L}))/iu, '')
    if (localPart === '' || localPart.endsWith('.')) continue
    const start = at - localPart.length
    const end = after + domain.length
    yield { start, end, kind: 'EMAIL', normal: `${localPart}@${domain}`.toLowerCase() }
  }
}

function localBefore(text: string, at: number): string {
  if (text[at - 1] === '"')
    return quotedLocal.exec(text.slice(Math.max(0, at - maxLocalLength), at))?.[0] ?? ''
  afterLocal.lastIndex = at
  return afterLocal.exec(text)?.[1] ?? ''
}

const octet = '(?:25[0-5]|2[0-4]\\d|1?\\d?\\d)'
const ipv4 = new RegExp(
  `(?<![\\p{L}\\p{N}_.-])(?:${octet}\\.){3}${octet}(?!\\.?[\\p{L}\\p{N}_]|-\\p{L})`,
  'gu',
)
const versionWords =
  /(?<![\p{L}\p{N}])(?:wersj\S*|version|build|release|firmware|driver|sterownik\S*|rozdzia\S*|sekcj\S*|punk\S*|pkt|section|chapter|clause|§|v\.?|ver\.?)[\s:]*$/iu
/** Loopback addresses and network masks. */
const localAddress = /^(?:127\.|0\.0\.0\.0$|255\.)/
const ipv6 =
  /(?<![\p{L}\p{N}_:.])(?:[0-9a-fA-F]{0,4}:){2,7}(?:[0-9a-fA-F]{1,4}|(?:\d{1,3}\.){3}\d{1,3}|(?=[^\p{L}\p{N}:]|$))(?![\p{L}\p{N}_:])/gu

export function* findIpAddresses(text: string): Generator<Match> {
  for (const { 0: found, index } of text.matchAll(ipv4)) {
    if (!isIPv4(found) || localAddress.test(found) || isNear(text, index, versionWords, 16)) continue
    yield { start: index, end: index + found.length, kind: 'IP', normal: found }
  }
  for (const { 0: found, index } of text.matchAll(ipv6)) {
    if (isIP(found) !== 6 || found.length < 6 || found === '::') continue
    yield { start: index, end: index + found.length, kind: 'IP', normal: found.toLowerCase() }
  }
}

const mac =
  /(?<![\p{L}\p{N}_:.-])(?:[0-9a-f]{2}(?::[0-9a-f]{2}){5}|[0-9a-f]{2}(?:-[0-9a-f]{2}){5}|[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4})(?![\p{L}\p{N}_:]|[.-][\p{L}\p{N}])/giu

export function* findMacAddresses(text: string): Generator<Match> {
  for (const { 0: found, index } of text.matchAll(mac))
    yield {
      start: index,
      end: index + found.length,
      kind: 'MAC',
      normal: found.replaceAll(/[^0-9a-f]/gi, '').toLowerCase(),
    }
}

const url = /(?<![\p{L}\p{N}_])[a-z][a-z0-9+.-]{1,20}:\/\/[^\s<>"'`\\{}|^]{4,2000}/giu
const credentials = /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@:]*:[^\s/?#@]+@/i
const secretParameters =
  /[?&#;](?:[\w.-]*(?:token|secret|passw(?:or)?d|passwd|api[_-]?key|access[_-]?key|signature|credential)|key|sig|pwd|auth|haslo)=[^&#\s]{4,}/i

/** URLs that contain a password or a key; other URLs are not masked. */
export function* findSecretUrls(text: string): Generator<Match> {
  if (!text.includes('://')) return
  for (const { 0: found, index } of text.matchAll(url)) {
    const trimmed = withoutEnding(found)
    if (credentials.test(trimmed) || secretParameters.test(trimmed))
      yield { start: index, end: index + trimmed.length, kind: 'URL', normal: trimmed }
  }
}

/** Removes trailing punctuation, which belongs to the sentence. A regular expression for this would take quadratic time. */
function withoutEnding(found: string): string {
  let end = found.length
  while (end > 0 && '.,;:!?)]'.includes(found.charAt(end - 1))) end--
  return found.slice(0, end)
}
