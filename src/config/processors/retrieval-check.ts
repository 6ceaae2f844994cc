import { didYouMean } from '../../lib/did-you-mean.ts'
import { isLinkLocalOrMetadata } from '../../lib/link-local.ts'
import type { Findings } from '../models/check.ts'
import type { RetrievalEntry } from './schema.ts'

/** What of a retrieval does not fit together. */
export function checkRetrieval(
  { index, embedding_model: model, service, clients = [], groups = [] }: RetrievalEntry,
  path: string,
  known: { models: ReadonlySet<string>; mayGrow: boolean },
  { errors, warnings }: Findings,
): void {
  if ((index === undefined) === (service === undefined))
    errors.push(`${path}: a retrieval needs an index or a service, and not both`)
  if (index !== undefined && model === undefined)
    errors.push(`${path}.embedding_model: missing; it is the model that the index was made with`)
  if (service && model !== undefined)
    warnings.push(`${path}.embedding_model: no effect, because the service makes its own embeddings`)
  if (index !== undefined && model !== undefined && !known.models.has(model)) {
    const text = `${path}.embedding_model: no active model ${JSON.stringify(model)}${didYouMean(model, known.models)}`
    if (known.mayGrow) warnings.push(`${text}; it is used once a server has it`)
    else errors.push(text)
  }
  if (clients.length + groups.length === 0)
    warnings.push(
      `${path}: it names no clients and no groups, so nobody may use it; "clients": ["*"] are all`,
    )
  if (!service) return
  if (!URL.canParse(service.url)) errors.push(`${path}.service.url: not an http:// or https:// address`)
  else if (isLinkLocalOrMetadata(new URL(service.url).hostname.replace(/^\[|\]$/g, '')))
    errors.push(`${path}.service.url: a link-local address`)
}
