import type { Match } from './match.ts'

/**
 * Keys and tokens whose issuers gave them a form that can be recognised. Sources: the issuers' documentation and GitHub's list of
 * secret scanning patterns. Lengths are bounded, so that no expression takes more than linear time.
 */
const forms: readonly string[] = [
  // OpenAI, Anthropic and others with the same prefix.
  'sk-(?:ant-|proj-|or-|svcacct-|admin-|lf-)?[A-Za-z0-9_-]{16,200}',
  'gsk_[A-Za-z0-9]{20,80}',
  'xai-[A-Za-z0-9]{20,120}',
  'pplx-[A-Za-z0-9]{20,80}',
  'hf_[A-Za-z0-9]{20,60}',
  'r8_[A-Za-z0-9]{20,60}',
  'nvapi-[A-Za-z0-9_-]{20,100}',
  // Amazon, Google, Azure, DigitalOcean, Databricks.
  '(?:AKIA|ASIA|AROA|AIDA)[0-9A-Z]{16}',
  'AIza[0-9A-Za-z_-]{35}',
  'ya29\\.[0-9A-Za-z_-]{20,400}',
  'GOCSPX-[0-9A-Za-z_-]{20,40}',
  'do[opr]_v1_[a-f0-9]{64}',
  'dapi[a-f0-9]{32}',
  // GitHub, GitLab, npm, PyPI.
  'gh[pousr]_[A-Za-z0-9]{36,255}',
  'github_pat_[A-Za-z0-9_]{22,255}',
  'gl(?:pat|ptt|dt|rt|cbt)-[A-Za-z0-9_-]{20,64}',
  'npm_[A-Za-z0-9]{36}',
  'pypi-[A-Za-z0-9_-]{32,400}',
  // Slack, Telegram, Twilio, SendGrid, Mailgun, Stripe, Square, Shopify.
  'xox[abeoprs]-[A-Za-z0-9-]{10,250}',
  'xapp-[A-Za-z0-9-]{10,250}',
  '\\d{8,10}:AA[A-Za-z0-9_-]{32,35}',
  'SK[a-f0-9]{32}',
  'SG\\.[A-Za-z0-9_-]{16,32}\\.[A-Za-z0-9_-]{16,64}',
  'key-[a-f0-9]{32}',
  '(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,200}',
  'whsec_[A-Za-z0-9+/=]{16,100}',
  'shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}',
  'AGE-SECRET-KEY-1[0-9A-Z]{58}',
  // Keys of this router, and of its JSON Web Tokens.
  'llmr_[A-Za-z0-9_-]{16,100}',
  'eyJ[A-Za-z0-9_-]{8,2000}\\.eyJ[A-Za-z0-9_-]{4,8000}\\.[A-Za-z0-9_-]{8,2000}',
]
const known = new RegExp(`(?<![A-Za-z0-9_-])(?:${forms.join('|')})(?![A-Za-z0-9])`, 'g')
const headers = /(?<=(?:Bearer|Basic)\s{1,3})[A-Za-z0-9._~+/-]{20,4000}={0,2}/g
const keyBorder = /-----(BEGIN|END) (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----/g
/** Bounds of the length between the header and footer of a private key, in characters. */
const minKeyLength = 16
const maxKeyLength = 20_000

export function* findSecrets(text: string): Generator<Match> {
  for (const expression of [known, headers])
    for (const { 0: found, index } of text.matchAll(expression))
      yield { start: index, end: index + found.length, kind: 'SECRET', normal: found }
}

/** Private keys are longer than other values and contain line breaks. */
export function* findPrivateKeys(text: string): Generator<Match> {
  if (!text.includes('PRIVATE KEY')) return
  let begun: { start: number; end: number } | undefined
  for (const { 0: border, 1: which, index } of text.matchAll(keyBorder)) {
    const end = index + border.length
    if (which === 'BEGIN') {
      // Of several headers without a footer, the first counts, up to the maximum length.
      if (!begun || index - begun.end > maxKeyLength) begun = { start: index, end }
      continue
    }
    const length = begun ? index - begun.end : 0
    if (begun && length >= minKeyLength && length <= maxKeyLength)
      yield { start: begun.start, end, kind: 'SECRET', normal: text.slice(begun.start, end) }
    begun = undefined
  }
}
