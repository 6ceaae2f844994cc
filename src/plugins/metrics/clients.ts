import type { FastifyInstance } from 'fastify'
import type { ExchangeRecord } from '../../relay/exchange.ts'
import { Families, perKey } from './families.ts'

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
  const families = new Families(app.metrics.client)
  const requests = families.counter({
    name: 'llm_router_client_requests_total',
    help: 'Requests that have ended, by the id of their key.',
    labelNames: ['client', 'outcome'],
  })
  const tokens = families.counter({
    name: 'llm_router_client_tokens_total',
    help: 'Tokens as upstreams counted them, by the id of the key that they were for.',
    labelNames: ['client', 'direction'],
  })
  const refusals = families.counter({
    name: 'llm_router_client_refusals_total',
    help: 'Requests that a key had no right to, or no room in its limits for.',
    labelNames: ['client', 'reason'],
  })
  const logins = families.counter({
    name: 'llm_router_login_failures_total',
    help: 'Requests without a valid key: missing, invalid, blocked (too many wrong ones from that address).',
    labelNames: ['reason'],
  })
  const requestsOf = perKey((client: string) =>
    perKey((result: string) => requests.series({ client, outcome: result })),
  )
  const tokensOf = perKey((client: string) => {
    return {
      input: tokens.series({ client, direction: 'input' }),
      output: tokens.series({ client, direction: 'output' }),
    }
  })
  return ({ client, outcome, usage, error }) => {
    const code = error?.code ?? ''
    if (client === undefined) {
      const reason = loginReasons[code]
      if (reason !== undefined) logins.series({ reason }).value++
      return
    }
    requestsOf(client)(outcome).value++
    const reason = reasonOfCause[error?.causeCode ?? ''] ?? reasonOfCode[code]
    if (reason !== undefined) refusals.series({ client, reason }).value++
    if (!usage) return
    const series = tokensOf(client)
    series.input.value += usage.promptTokens
    series.output.value += usage.completionTokens
  }
}
