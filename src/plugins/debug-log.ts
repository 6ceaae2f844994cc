import fp from 'fastify-plugin'
import { tenths } from '../lib/numbers.ts'
import type { Step } from '../relay/steps.ts'

/**
 * With LLM_ROUTER_IN_DEBUG, logs the steps of a request: the names of its headers, each choice of a target, each
 * attempt, and the router's own time. Contents, header values and addresses are never logged.
 */
export default fp(
  (app, _options, done) => {
    if (!app.config.inDebug) return done()
    app.addHook('onRequest', ({ raw, log, exchange, method }, _reply, next) => {
      const names = raw.rawHeaders.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase())
      log.debug({ ...exchange.logIds, method, headers: names }, 'request received')
      next()
    })
    app.exchanges.onStep((step, exchange) => {
      app.log.debug({ ...exchange.logIds, ...fieldsOf(step) }, textOf[step.type])
    })
    app.exchanges.onEnd(({ id, ownMs, attempts }) => {
      if (ownMs !== undefined)
        app.log.debug(
          { request_id: id, attempts, own_ms: Math.round(ownMs * 1000) / 1000 },
          "the router's own time",
        )
    })
    done()
  },
  { name: 'debug-log', dependencies: ['config', 'exchange'] },
)

const textOf: Readonly<Record<Step['type'], string>> = {
  pick: 'target chosen',
  'attempt-began': 'attempt begins',
  'attempt-ended': 'attempt ended',
  resent: 'request sent again over a new connection',
  exhausted: 'no other target is tried',
}

function fieldsOf(step: Step): Record<string, unknown> {
  switch (step.type) {
    case 'pick':
      return {
        model: step.model,
        found: step.found,
        waited_ms: tenths(step.ms),
        error_code: step.error?.code,
      }
    case 'attempt-began': {
      const { model, id, type } = step.target
      return { model, target: id, provider_type: type.name }
    }
    case 'attempt-ended': {
      const { target, result, durationMs } = step.attempt
      return {
        model: target.model,
        target: target.id,
        result: result?.type ?? 'error',
        duration_ms: tenths(durationMs),
        ...(result?.type === 'failure'
          ? {
              error_code: result.error.code,
              error_cause: result.error.causeCode,
              retry: result.retry,
              verdict: result.verdict,
            }
          : {
              first_content_ms:
                result?.firstContentMs === undefined ? undefined : tenths(result.firstContentMs),
            }),
      }
    }
    case 'resent':
      return { model: step.model }
    case 'exhausted':
      return { model: step.model, error_code: step.error.code }
  }
}
