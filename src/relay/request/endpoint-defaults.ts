import type { ChatRequest, Sampling } from '../../sdk/chat.ts'
import type { Dialect } from '../../sdk/dialect.ts'
import type { Target } from '../../sdk/target.ts'

/** Sampling of an endpoint of the router's own, for what neither the client nor the configuration says. */
export type EndpointDefaults = (target: Target) => Sampling

/**
 * The target's dialect with an endpoint's defaults behind the operator's. They are written as the target's own
 * members; what it has no member for is passed over without a word, because nobody asked for it.
 */
export function behindConfigured(
  dialect: Dialect,
  request: ChatRequest,
  target: Target,
  defaults: EndpointDefaults | undefined,
): Dialect {
  if (!defaults) return dialect
  const { chat } = dialect
  const { flavour } = target.type
  return {
    ...dialect,
    chat: {
      ...chat,
      missingDefaults(body, configured) {
        const members = chat.missingDefaults(body, configured, flavour)
        const wanted = chat.writeRequest(
          { ...request, sampling: defaults(target) },
          { model: target.upstreamModel, flavour, drop: () => undefined },
        )
        return { ...members, ...chat.missingDefaults({ ...body, ...members }, wanted) }
      },
    },
  }
}
