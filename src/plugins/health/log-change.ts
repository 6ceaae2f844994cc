import type { FastifyBaseLogger } from 'fastify'
import { featureNames } from '../../relay/request/request-traits.ts'
import type { HealthChange } from './target-health.ts'

const misconfigurations: Readonly<Record<number, string>> = {
  401: 'the server rejects the api_token of this provider',
  402: 'the account of this provider has no credit',
  403: 'the server denies access with the api_token of this provider',
  404: 'the server does not know the model_path of this provider',
}

/** Why a target that answers with this status is misconfigured, in terms of its configuration. */
export function misconfigurationText(status: number): string {
  return misconfigurations[status] ?? `the server answers ${status}`
}

/** Logs one line per health change. */
export function logChange(
  log: FastifyBaseLogger,
  names: { model: string; target: string },
  change: HealthChange,
): void {
  switch (change.type) {
    case 'ejected': {
      const { breaker, features } = change
      const until = new Date(Date.now() + breaker.waitMs).toISOString()
      log.warn({ ...names, reason: breaker.openedBy, ...forFeatures(features), until }, 'target ejected')
      return
    }
    case 'restored':
      log.info({ ...names, ...forFeatures(change.features) }, 'target restored')
      return
    case 'misconfigured': {
      const { status } = change
      log.error({ ...names, status, reason: misconfigurationText(status) }, 'target misconfigured')
      return
    }
    case 'configured':
      log.info(names, 'target accepts requests again')
  }
}

function forFeatures(features: number): { features?: string[] } {
  return features === 0 ? {} : { features: featureNames(features) }
}
