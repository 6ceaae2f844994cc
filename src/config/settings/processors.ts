import { minKeyLength } from './addresses.ts'
import type { Config } from './schema.ts'
import { hasSeveralHosts } from './sign-in.ts'

/** Returns errors in the settings of masking and the cache. */
export function maskingErrors(config: Config): string[] {
  const { forceMasking, maskingPipeline, maskerPiiHost, maskingSecret, cacheSecret } = config
  const errors: string[] = []
  if (maskingPipeline.includes('pii_masker') && maskerPiiHost === '')
    errors.push(
      'LLM_ROUTER_MASKER_PII_HOST: required with pii_masker in LLM_ROUTER_MASKING_STRATEGY_PIPELINE',
    )
  if (maskingSecret !== '' && maskingSecret.length < minKeyLength)
    errors.push(`LLM_ROUTER_MASKING_SECRET: needs at least ${minKeyLength} characters`)
  if (forceMasking && maskingSecret === '' && hasSeveralHosts(config)) errors.push(maskingSecretMissing)
  if (cacheSecret !== '' && cacheSecret.length < minKeyLength)
    errors.push(`LLM_ROUTER_CACHE_SECRET: needs at least ${minKeyLength} characters`)
  return errors
}

/** Returns errors in the settings of guardrails: a guardrail without a service would pass everything. */
export function guardrailErrors(config: Config): string[] {
  const { naskGuardHost, sojkaGuardHost } = config
  const hosts = { nask_guard: naskGuardHost, sojka_guard: sojkaGuardHost }
  const forced = [
    ...(config.forceGuardrailRequest ? [['REQUEST', config.guardrailPipeline] as const] : []),
    ...(config.forceGuardrailResponse ? [['RESPONSE', config.answerGuardrailPipeline] as const] : []),
  ]
  const emptyPipelines = forced
    .filter(([, pipeline]) => pipeline.length === 0)
    .map(
      ([name]) =>
        `LLM_ROUTER_FORCE_GUARDRAIL_${name}: LLM_ROUTER_GUARDRAIL_STRATEGY_PIPELINE_${name} must name nask_guard or sojka_guard; other guardrails belong in \`processors\` of models-config.json`,
    )
  const named = new Set(forced.flatMap(([, pipeline]) => pipeline))
  const missingHosts = [...named]
    .filter((name) => hosts[name] === '')
    .map((name) => `LLM_ROUTER_GUARDRAIL_${name.toUpperCase()}_HOST: required with ${name} in the pipeline`)
  return [...emptyPipelines, ...missingHosts]
}

/** Error for masking on several hosts without a common secret. */
export const maskingSecretMissing =
  'LLM_ROUTER_MASKING_SECRET must be set for masking with Redis or PostgreSQL: without a common secret, each host replaces a value by a different pseudonym; generate one with openssl rand -hex 32'
