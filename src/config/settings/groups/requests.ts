import { Type } from '@sinclair/typebox'
import { choices, oneOf, seconds, text } from './setting-types.ts'

/** Routing, queues, timeouts and limits of requests. */
export const requestSettings = {
  balanceStrategy: text(
    'balanced',
    'How a target is chosen: one of the [strategies](strategies.md), or one of an extension. A model can override it.',
  ),
  queueTimeoutMs: seconds({
    default: 60_000,
    minimum: 1,
    description:
      'How long a request waits for a free slot at a target (`first_available` or `max_in_flight`).',
  }),
  queueSize: Type.Integer({
    default: 256,
    minimum: 0,
    maximum: 1_000_000,
    description:
      'Maximum number of waiting requests per model and process (`first_available` or `max_in_flight`).',
  }),
  useSleeping: oneOf(
    choices.useSleeping,
    'never',
    '`fallback`: use `providers_sleep` if all other servers are down or busy.',
  ),
  externalTimeoutMs: seconds({
    default: 300_000,
    minimum: 1,
    description: 'Timeout for connecting (at most 10 s), for the first content, and for each pause after it.',
  }),
  loadingTimeoutMs: seconds({
    default: 60_000,
    minimum: 0,
    description:
      'How long a request waits for a server that is loading its model if no other is usable; at most LLM_ROUTER_EXTERNAL_TIMEOUT.',
  }),
  holdTimeoutMs: seconds({
    default: 0,
    minimum: 0,
    description:
      'How long a request waits while no server of its model is usable (scaled to zero, asleep or down); 0 disables it. `hold_timeout` of a model overrides it.',
  }),
  timeoutMs: seconds({ default: 0, minimum: 0, description: 'Limit for a whole request; 0 disables it.' }),
  streamDefault: oneOf(
    choices.streamDefault,
    'dialect',
    "Whether requests without `stream` are streamed: as their dialect defines it (Ollama's endpoints stream, the others do not), or the same for all dialects.",
  ),
  bodyLimitBytes: Type.Integer({
    default: 33_554_432,
    minimum: 1,
    maximum: 2 ** 31 - 1,
    unit: 'bytes',
    description: 'Largest request body.',
  }),
  bodyBudgetBytes: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    unit: 'bytes',
    description:
      'Limit for all request bodies of a process together; raised to 1.25 times LLM_ROUTER_BODY_LIMIT if it is less. A client with several bodies may hold four fifths of it. 0: an eighth of the heap limit.',
  }),
  streamKeepAliveMs: seconds({
    default: 0,
    minimum: 0,
    description:
      'Sends a comment (Anthropic: a `ping`) whenever a stream has been silent for this long, also before the first content, so that load balancers keep the connection open; 0 disables it. Later errors have status 200.',
  }),
  writeStallMs: seconds({
    default: 60_000,
    minimum: 0,
    description:
      'Closes the connection of a client that has not read from a waiting response for this long (checked every quarter of it); 0 disables it.',
  }),
  shedDelayMs: seconds({
    default: 1_000,
    minimum: 0,
    description:
      'New requests are rejected while the event loop is delayed by more than this; 0 disables it.',
  }),
  shedHeapPercent: Type.Integer({
    default: 85,
    minimum: 0,
    maximum: 99,
    unit: 'percent',
    description:
      'New requests are rejected while more than this share of the heap limit is in use; 0 disables it.',
  }),
}
