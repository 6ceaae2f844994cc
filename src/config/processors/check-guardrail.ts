import { isLinkLocalOrMetadata, isPrivateHost, withoutBrackets } from '../../lib/host-addresses.ts'
import type { Findings } from '../models/check.ts'
import { expressionError } from './expression-error.ts'
import type { GuardrailEntry } from './guardrail-schema.ts'
import { longestMatch } from './longest-match.ts'

/** Length of the context before a response window, in characters: a longer match could be partly sent before it is detected. */
const maxMatchLength = 400

export function checkGuardrail(entry: GuardrailEntry, path: string, { errors }: Findings): void {
  const { words = [], expressions = [], service, before, action, sample, replacement, on = 'request' } = entry
  const isLocal = words.length > 0 || expressions.length > 0
  if (!isLocal && !service) errors.push(`${path}: a guardrail needs words, expressions or a service`)
  const readsResponses = on !== 'request'
  for (const [index, word] of words.entries())
    if (readsResponses && word.length > maxMatchLength) errors.push(`${path}.words[${index}]: ${tooLong}`)
  for (const [index, expression] of expressions.entries()) {
    const error = expressionError(expression)
    if (error !== undefined) errors.push(`${path}.expressions[${index}]: ${error}`)
    else if (readsResponses && longestMatch(expression) > maxMatchLength)
      errors.push(`${path}.expressions[${index}]: ${tooLong}; bound its repetitions, as in \\s{1,9}`)
  }
  if (sample !== undefined && action !== 'flag') errors.push(`${path}.sample: only with "action": "flag"`)
  if (action === 'replace' && !isLocal)
    errors.push(
      `${path}.action: "replace" applies to words and expressions only; a service returns its own replacements`,
    )
  if (replacement !== undefined && action !== 'replace')
    errors.push(`${path}.replacement: only with "action": "replace"`)
  if (before === 'unmasking' && !readsResponses)
    errors.push(`${path}.before: "unmasking" applies to responses; set "on" to "response" or "both"`)
  if (before === 'masking' && on === 'response')
    errors.push(`${path}.before: "masking" applies to requests; set "on" to "request" or "both"`)
  if (service) checkService(entry, service, path, errors)
}

const tooLong = `a match may be longer than ${maxMatchLength} characters, the maximum for responses`

function checkService(
  { before, unmasked }: GuardrailEntry,
  { type, url, model, api_token: token }: NonNullable<GuardrailEntry['service']>,
  path: string,
  errors: string[],
): void {
  const isModel = type === 'model'
  if (isModel) {
    if (model === undefined)
      errors.push(`${path}.service.model: missing; set it to the name of a model of this router`)
    if (url !== undefined) errors.push(`${path}.service.url: not allowed with type "model"; remove it`)
    if (token !== undefined)
      errors.push(`${path}.service.api_token: not allowed with type "model"; remove it`)
  } else if (url === undefined)
    errors.push(`${path}.service.url: missing; set it to the address of the service`)
  else checkAddress(url, `${path}.service.url`, errors)
  const isExternal = isModel || (url !== undefined && URL.canParse(url) && !isPrivateHost(hostOf(url)))
  if (before === 'masking' && isExternal && unmasked !== true)
    errors.push(
      `${path}.before: "masking" would send unmasked contents to ${isModel ? 'a model' : 'an address outside the local network'}; remove it, or set "unmasked": true`,
    )
}

export function checkAddress(url: string, at: string, errors: string[]): void {
  if (!URL.canParse(url)) errors.push(`${at}: not an http:// or https:// address`)
  else if (isLinkLocalOrMetadata(hostOf(url))) errors.push(`${at}: link-local addresses are not allowed`)
}

function hostOf(url: string): string {
  return withoutBrackets(new URL(url).hostname)
}
