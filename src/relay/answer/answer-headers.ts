import type { Exchange } from '../exchange.ts'

/** Adds the router's own headers to `headers`: the model and target that answered, and the fields that were dropped. */
export function answerHeaders(
  exchange: Exchange,
  headers: Record<string, string> = {},
  shown: { dropped: boolean; route?: boolean } = { dropped: true },
): Record<string, string> {
  const { answeringModel = exchange.model, dropped } = exchange
  if (shown.dropped && dropped.size > 0) Object.assign(headers, droppedHeader(dropped))
  if (answeringModel !== undefined) headers['x-llm-router-model'] = headerText(answeringModel)
  return shown.route === false ? headers : Object.assign(headers, routeHeaders(exchange))
}

/** If the request may see them: the last target, and the number of attempts. */
export function routeHeaders({ showsRoute, target, attempts }: Exchange): Record<string, string> {
  if (!showsRoute || target === undefined) return {}
  return { 'x-llm-router-target': headerText(target), 'x-llm-router-attempts': String(attempts) }
}

/** The facts of the headers, as a comment at the end of a stream whose headers were sent before they were known. */
export function trailingComment({ model, answeringModel, target, dropped }: Exchange): string {
  if (target === undefined) return ''
  const other =
    answeringModel === undefined || answeringModel === model ? '' : ` model=${headerText(answeringModel)}`
  return `: llm-router target=${headerText(target)} lost=${droppedNames(dropped).join(',')}${other}\n\n`
}

/** Model names are free text; characters that are invalid in a header are percent-encoded. */
function headerText(name: string): string {
  if (/^[\x21-\x7e]*$/.test(name)) return name
  return name.toWellFormed().replaceAll(/[^\x21-\x7e]/gu, encodeURIComponent)
}

/** The header that names the dropped fields; absent if there are none. */
export function droppedHeader(dropped: ReadonlyMap<string, string>): Record<string, string> {
  return dropped.size === 0 ? {} : { 'x-llm-router-lost': droppedNames(dropped).join(', ') }
}

const none: readonly string[] = []

/** Field names may come from the client's body, so their number, length and characters are limited. */
export function droppedNames(dropped: ReadonlyMap<string, string>): readonly string[] {
  if (dropped.size === 0) return none
  const names = [...dropped.keys()].slice(0, 32)
  return names.map((name) => name.slice(0, 64).replaceAll(/[^\w.[\]-]/g, '_'))
}
