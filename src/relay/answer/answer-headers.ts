import type { Exchange } from '../exchange.ts'

/** What the headers of an answer tell, added to `headers`: which model and target spoke, and what could not be carried to them. */
export function answerHeaders(
  exchange: Exchange,
  headers: Record<string, string> = {},
  tells: { dropped: boolean; route?: boolean } = { dropped: true },
): Record<string, string> {
  const { answeringModel = exchange.model, dropped } = exchange
  if (tells.dropped && dropped.size > 0) Object.assign(headers, droppedHeader(dropped))
  if (answeringModel !== undefined) headers['x-llm-router-model'] = headerText(answeringModel)
  return tells.route === false ? headers : Object.assign(headers, routeHeaders(exchange))
}

/** Where the request may be told: the target that was tried last, and how many attempts there were. */
export function routeHeaders({ tellsRoute, target, attempts }: Exchange): Record<string, string> {
  if (!tellsRoute || target === undefined) return {}
  return { 'x-llm-router-target': headerText(target), 'x-llm-router-attempts': String(attempts) }
}

/** What the headers would have told, as a comment at the end of a stream that was opened before it was known. */
export function lateComment({ model, answeringModel, target, dropped }: Exchange): string {
  if (target === undefined) return ''
  const other =
    answeringModel === undefined || answeringModel === model ? '' : ` model=${headerText(answeringModel)}`
  return `: llm-router target=${headerText(target)} lost=${droppedNames(dropped).join(',')}${other}\n\n`
}

/** Names of models are free text; what a header cannot hold is percent-encoded. */
function headerText(name: string): string {
  if (/^[\x21-\x7e]*$/.test(name)) return name
  return name.replaceAll(/[^\x21-\x7e]/gu, (character) => encodeURIComponent(character))
}

/** The header that names what the chosen upstream could not carry; none where it carried all. */
export function droppedHeader(dropped: ReadonlyMap<string, string>): Record<string, string> {
  return dropped.size === 0 ? {} : { 'x-llm-router-lost': droppedNames(dropped).join(', ') }
}

const none: readonly string[] = []

/** Field names can come from the client's body: bounded in number and length, and of what a header may hold. */
export function droppedNames(dropped: ReadonlyMap<string, string>): readonly string[] {
  if (dropped.size === 0) return none
  const names = [...dropped.keys()].slice(0, 32)
  return names.map((name) => name.slice(0, 64).replaceAll(/[^\w.[\]-]/g, '_'))
}
