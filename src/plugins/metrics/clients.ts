import type { FastifyInstance } from 'fastify'
import type { ExchangeRecord } from '../../relay/exchange.ts'

const reasonOfCause: Readonly<Record<string, string>> = {
  KEY_CONCURRENT: 'concurrent',
  KEY_REQUESTS: 'requests',
  KEY_TOKENS: 'tokens',
}
const reasonOfCode: Readonly<Record<string, string>> = {
  endpoint_not_allowed: 'endpoint',
  max_tokens_exceeded: 'max_tokens',
}
const loginReasons: Readonly<Record<string, string>> = {
  missing_api_key: 'missing',
  invalid_api_key: 'invalid',
  too_many_failed_logins: 'blocked',
}

/** Who uses the router, by the ids of the keys file; there are as many of them as that names. */
export function recordClients(app: FastifyInstance): (record: ExchangeRecord) => void {
  const { Counter } = app.metrics.client
  const requests = new Counter({
    name: 'llm_router_client_requests_total',
    help: 'Requests that have ended, by the id of their key.',
    labelNames: ['client', 'outcome'],
  })
  const tokens = new Counter({
    name: 'llm_router_client_tokens_total',
    help: 'Tokens as upstreams counted them, by the id of the key that they were for.',
    labelNames: ['client', 'direction'],
  })
  const refusals = new Counter({
    name: 'llm_router_client_refusals_total',
    help: 'Requests that a key had no right to, or no room in its limits for.',
    labelNames: ['client', 'reason'],
  })
  const logins = new Counter({
    name: 'llm_router_login_failures_total',
    help: 'Requests without a valid key: missing, invalid, blocked (too many wrong ones from that address).',
    labelNames: ['reason'],
  })
  return ({ client, outcome, usage, error }) => {
    const code = error?.code ?? ''
    if (client === undefined) {
      const reason = loginReasons[code]
      if (reason !== undefined) logins.inc({ reason })
      return
    }
    requests.inc({ client, outcome })
    const reason = reasonOfCause[error?.causeCode ?? ''] ?? reasonOfCode[code]
    if (reason !== undefined) refusals.inc({ client, reason })
    if (!usage) return
    tokens.inc({ client, direction: 'input' }, usage.promptTokens)
    tokens.inc({ client, direction: 'output' }, usage.completionTokens)
  }
}
