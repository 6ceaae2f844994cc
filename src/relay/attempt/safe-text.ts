import type { Target } from '../../sdk/target.ts'

const maxLength = 512
/** What is looked at: some patterns take a time that grows with the square of the text. */
const maxExamined = 1_024

/**
 * An upstream's error text, if clients may see it: no address, no path, no key. The upstream's own name of the model
 * is first put back to the alias. Anything doubtful gives undefined, and the caller says it in its own words.
 */
export function safeUpstreamText(text: string | undefined, target: Target): string | undefined {
  if (text === undefined) return undefined
  let safe = text
    .slice(0, maxExamined)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: removing them is the point
    .replace(/\u001b\[[0-9;]*[A-Za-z]|[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ')
    .trim()
  safe = renameWhole(safe, target.upstreamModel, target.model)
  if (safe === '' || leaks(safe, target)) return undefined
  return safe.length > maxLength ? `${safe.slice(0, maxLength)}...` : safe
}

const leakPatterns: readonly RegExp[] = [
  /\b[a-z][a-z0-9+.-]{1,15}:\/\//i, // any URL
  /\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b/, // IPv4
  /(?:[0-9a-f]{1,4}:){3,}|::[0-9a-f]{1,4}\b|\[[0-9a-f:]+\]/i, // IPv6
  /\blocalhost\b/i,
  /\b[a-z0-9-]+(?:\.[a-z0-9-]+)*:\d{2,5}\b/i, // host:port
  /\b[a-z0-9-]+\.(?:internal|local|lan|svc|cluster|intranet|corp)\b/i,
  /(?:^|[\s"'(=])(?:~|\.{1,2})?\/[\w.-]+\/[\w./-]+/, // POSIX path
  /\b[a-z]:\\|\\\\[a-z0-9]/i, // Windows path
  /\b(?:sk|pk|hf|gsk|xai|ghp|key|token)[-_][a-z0-9_-]{6,}/i, // keys by their usual prefixes
  /\b(?:bearer|basic)\s+[a-z0-9._~+/=-]{6,}/i,
  /\beyJ[\w-]{8,}\./, // JSON web token
  /\b[a-f0-9]{32,}\b/i,
  /Traceback|\bat .+:\d+:\d+/, // stack traces
]

function leaks(text: string, target: Target): boolean {
  if (target.token !== undefined && target.token !== '' && text.includes(target.token)) return true
  const host = target.origin.replace(/^[a-z]+:\/\//, '').replace(/:\d+$/, '')
  if (host !== '' && text.includes(host)) return true
  return leakPatterns.some((pattern) => pattern.test(text))
}

/** What names of models are made of. The signs count only where more of a name follows: `llama-3`, but not `llama.` */
const inName = /^[./:@+-]*[\p{L}\p{N}_]/u
const nameBefore = /[\p{L}\p{N}_./:@+-]$/u
/** Ollama adds it to a name that has no tag. */
const usualTag = ':latest'
/** As far as a name is looked at before and behind, in UTF-16 units. */
const reach = 8

/** The text with another name in the place of this one, where it stands by itself and is no part of a longer name. */
function renameWhole(text: string, name: string, replacement: string): string {
  if (name === '' || name === replacement) return text
  let renamed = ''
  let from = 0
  for (let at = text.indexOf(name); at !== -1; at = text.indexOf(name, Math.max(from, at + 1))) {
    const end = at + name.length + (text.startsWith(usualTag, at + name.length) ? usualTag.length : 0)
    if (nameBefore.test(text.slice(Math.max(0, at - 2), at))) continue
    if (inName.test(text.slice(end, end + reach))) continue
    renamed += text.slice(from, at) + replacement
    from = end
  }
  return renamed + text.slice(from)
}
