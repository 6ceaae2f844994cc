import { didYouMean } from '../../lib/did-you-mean.ts'
import { isLinkLocalOrMetadata } from '../../lib/link-local.ts'
import type { Findings } from '../models/check.ts'
import type { RetrievalEntry } from './schema.ts'

/** Reports missing and contradictory fields of a retrieval. */
export function checkRetrieval(
  { index, embedding_model: model, service, clients = [], groups = [] }: RetrievalEntry,
  path: string,
  known: { models: ReadonlySet<string>; mayGrow: boolean },
  { errors, warnings }: Findings,
): void {
  if ((index === undefined) === (service === undefined)) errors.push(`${path}: set either index or service`)
  if (index !== undefined && model === undefined)
    errors.push(`${path}.embedding_model: missing; set it to the model that created the index`)
  if (service && model !== undefined) warnings.push(`${path}.embedding_model: has no effect with service`)
  if (index !== undefined && model !== undefined && !known.models.has(model)) {
    const text = `${path}.embedding_model: no active model ${JSON.stringify(model)}${didYouMean(model, known.models)}`
    if (known.mayGrow) warnings.push(`${text}; it is used once a server has it`)
    else errors.push(text)
  }
  if (clients.length + groups.length === 0)
    warnings.push(
      `${path}: no client may use it, because clients and groups are empty; "clients": ["*"] permits all`,
    )
  if (!service) return
  if (!URL.canParse(service.url)) errors.push(`${path}.service.url: not an http:// or https:// address`)
  else if (isLinkLocalOrMetadata(new URL(service.url).hostname.replace(/^\[|\]$/g, '')))
    errors.push(`${path}.service.url: a link-local address`)
}
