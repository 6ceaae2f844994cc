import { isLinkLocalOrMetadata, withoutBrackets } from '../../lib/host-addresses.ts'
import { parseRedisUrl } from '../redis-url.ts'
import type { Config } from './schema.ts'

/** Minimum length of keys and secrets, because shorter ones can be guessed. */
export const minKeyLength = 20

export function webhookErrors({ budgetWebhookUrl: url, budgetWebhookSecret: secret }: Config): string[] {
  if (url === '') return []
  if (!URL.canParse(url)) return ['LLM_ROUTER_BUDGET_WEBHOOK_URL: the value is not an https:// address']
  if (isLinkLocalOrMetadata(withoutBrackets(new URL(url).hostname)))
    return ['LLM_ROUTER_BUDGET_WEBHOOK_URL: link-local addresses are not allowed']
  if (secret.length < minKeyLength)
    return [
      `LLM_ROUTER_BUDGET_WEBHOOK_SECRET: required with LLM_ROUTER_BUDGET_WEBHOOK_URL, with at least ${minKeyLength} characters`,
    ]
  return []
}

/** No part of an invalid URL is shown, because it may contain a password. */
export function redisErrors({ redisUrl, redisDb }: Pick<Config, 'redisUrl' | 'redisDb'>): string[] {
  if (redisUrl === '') return []
  const address = parseRedisUrl(redisUrl)
  if ('error' in address) return [`LLM_ROUTER_REDIS_URL: ${address.error}`]
  if (address.kind === 'cluster' && redisDb !== 0)
    return ['LLM_ROUTER_REDIS_DB: a cluster only has database 0']
  return []
}
