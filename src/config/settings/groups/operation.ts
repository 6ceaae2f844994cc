import { Type } from '@sinclair/typebox'
import { choices, flag, maxTimerMs, oneOf, seconds, text } from './setting-types.ts'

/** Logs, metrics, the console, health checks, reload and shutdown. */
export const operationSettings = {
  logLevel: oneOf(
    choices.logLevel,
    'info',
    "Log level; Python's names and any case are accepted. At least `debug` with LLM_ROUTER_IN_DEBUG.",
  ),
  logFormat: oneOf(choices.logFormat, 'auto', '`auto`: `pretty` on a terminal, JSON elsewhere.'),
  logFilename: text('llm-router.log', 'Log file with JSON lines; empty disables it. Reopened on SIGUSR2.'),
  inDebug: flag(
    false,
    'Sets the log level to debug: the log contains header names, each choice of a target, each attempt and timings, never content. Error responses name the code of their cause.',
  ),
  routeHeaders: flag(
    false,
    'Adds the headers `x-llm-router-target` and `x-llm-router-attempts` to each response. Requests with an operator key always get them.',
  ),
  usePrometheus: flag(false, 'Serves `/metrics`: [observability.md](observability.md).'),
  ui: flag(true, 'Serves the console at `/ui`: [console.md](console.md).'),
  docs: flag(true, 'Serves the API documentation at `/docs` and `/openapi.json`.'),
  healthIntervalMs: seconds({
    default: 5_000,
    minimum: 0,
    description:
      'Interval between health checks of each server; 0 disables health checks and the polling of engines.',
  }),
  replicas: Type.Integer({
    default: 1,
    minimum: 1,
    maximum: 1_000,
    description:
      'Number of routers that poll the same engines without a shared Redis; each then polls every 2 s times this number.',
  }),
  configPollMs: seconds({
    default: 10_000,
    minimum: 0,
    description:
      'How often to check for file changes that the operating system does not report; 0 disables it.',
  }),
  drainAcceptMs: seconds({
    default: 1_000,
    minimum: 0,
    description:
      'Shutdown: how long clients with open connections are still served and asked to reconnect elsewhere.',
  }),
  drainTimeoutMs: seconds({
    default: 300_000,
    minimum: 0,
    maximum: maxTimerMs - 10_000,
    description: 'Shutdown: how long running responses may continue.',
  }),
}
