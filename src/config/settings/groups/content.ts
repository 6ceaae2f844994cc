import { Type } from '@sinclair/typebox'
import { flag, seconds } from './setting-types.ts'

/** Masking, guardrails and the response cache. */
export const contentSettings = {
  forceMasking: flag(false, 'Masks all requests: [masking.md](masking.md).'),
  maskingPipeline: Type.Array(Type.Union([Type.Literal('fast_masker'), Type.Literal('pii_masker')]), {
    default: [],
    allowed: 'a list of fast_masker and pii_masker',
    description:
      'Maskers for `LLM_ROUTER_FORCE_MASKING` and for requests with `anonymize`: `fast_masker` (the built-in kinds) and `pii_masker` (a service); empty selects the built-in kinds.',
  }),
  maskerPiiHost: Type.String({
    default: '',
    pattern: '^$|^https?://.+',
    allowed: 'an http:// or https:// address',
    description: 'Address of the service `pii_masker`.',
  }),
  maskingSecret: Type.String({
    default: '',
    writeOnly: true,
    description:
      'Secret from which pseudonyms are derived; must be the same on all hosts, and is required with Redis or PostgreSQL. If empty, a random one is generated at each start, and pseudonyms change.',
  }),
  cache: flag(false, 'Enables the response cache for all models and clients: [cache.md](cache.md).'),
  cacheTtlMs: seconds({
    default: 3_600_000,
    minimum: 1,
    maximum: 30 * 24 * 3_600_000,
    description: 'Lifetime of cached responses; `ttl` of a cache in models-config.json overrides it.',
  }),
  cacheMaxBytes: Type.Integer({
    default: 67_108_864,
    minimum: 65_536,
    maximum: Number.MAX_SAFE_INTEGER,
    unit: 'bytes',
    description:
      'Maximum size of the cached responses in memory, per process or, in a cluster, in the primary process; beyond it, the client with the most loses its least recently used.',
  }),
  cacheSecret: Type.String({
    default: '',
    writeOnly: true,
    description:
      'Secret for the encryption of cached responses in Redis; must be the same on all hosts. Empty keeps them in memory, even with Redis.',
  }),
  forceGuardrailRequest: flag(
    false,
    'Judges all requests with the services in `LLM_ROUTER_GUARDRAIL_STRATEGY_PIPELINE_REQUEST`: [guardrails.md](guardrails.md).',
  ),
  guardrailPipeline: Type.Array(Type.Union([Type.Literal('nask_guard'), Type.Literal('sojka_guard')]), {
    default: [],
    allowed: 'a list of nask_guard and sojka_guard',
    description: 'Guardrail services for all requests; a request must pass all of them.',
  }),
  forceGuardrailResponse: flag(
    false,
    'Judges all responses with the services in `LLM_ROUTER_GUARDRAIL_STRATEGY_PIPELINE_RESPONSE`: [guardrails.md](guardrails.md).',
  ),
  answerGuardrailPipeline: Type.Array(Type.Union([Type.Literal('nask_guard'), Type.Literal('sojka_guard')]), {
    default: [],
    allowed: 'a list of nask_guard and sojka_guard',
    description: 'Guardrail services for all responses; a response must pass all of them.',
  }),
  naskGuardHost: Type.String({
    default: '',
    pattern: '^$|^https?://.+',
    allowed: 'an http:// or https:// address',
    description: 'Address of the service `nask_guard`.',
  }),
  sojkaGuardHost: Type.String({
    default: '',
    pattern: '^$|^https?://.+',
    allowed: 'an http:// or https:// address',
    description: 'Address of the service `sojka_guard`.',
  }),
}
