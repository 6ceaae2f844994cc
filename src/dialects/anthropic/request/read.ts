import { filledTextOf, isObject, type JsonObject, numberOf, present, textOf } from '../../../lib/json/read.ts'
import type { ChatRequest, ReasoningEffort, ResponseFormat } from '../../../sdk/chat.ts'
import { badRequest } from '../../../sdk/errors.ts'
import { unknownMembers } from '../../shared/dropped-fields.ts'
import { readSampling } from '../../shared/sampling.ts'
import { billingNotice, hasBillingHeader } from './billing-header.ts'
import { readMessages, readSystem } from './messages-read.ts'
import { reportNestedMembers } from './nested-members.ts'
import { effortOfBudget } from './reasoning-write.ts'
import { sampling } from './sampling.ts'
import { AnthropicMessagesBody } from './schema.ts'
import { readTools } from './tools-read.ts'

/**
 * Reads a body of `POST /v1/messages` that was checked against its schema. Throws `bad_request`. What the canonical form
 * cannot express, such as a tool that runs at Anthropic, is added to `extras`, so that the target's codec reports it.
 */
export function readRequest(body: JsonObject, stream: boolean): ChatRequest {
  const dropped: JsonObject = {}
  const drop = (field: string): void => {
    dropped[field] = true
  }
  checkLimit(body.max_tokens)
  reportNestedMembers(body, drop)
  return {
    model: textOf(body.model) ?? textOf(body.model_name) ?? '',
    stream,
    includeUsage: true,
    messages: [...readSystem(body.system), ...readMessages(body.messages, drop)],
    continuesAnswer: true,
    sampling: readSampling(sampling, body),
    ...readTools(body, drop),
    ...readReasoning(body),
    ...present({
      responseFormat: readFormat(body),
      user: isObject(body.metadata) ? filledTextOf(body.metadata.user_id) : undefined,
    }),
    extras: { ...unknownMembers(body, AnthropicMessagesBody.properties), ...dropped },
    ...(hasBillingHeader(body.system) ? { notices: [billingNotice] } : {}),
  }
}

function checkLimit(value: unknown): void {
  if (numberOf(value) !== undefined) return
  throw badRequest(
    "'max_tokens' is required: an integer of at least 1",
    'max_tokens',
    'missing_required_parameter',
  )
}

const efforts: readonly ReasoningEffort[] = ['low', 'medium', 'high', 'xhigh', 'max']

/** `thinking` enables thinking and sets its budget, `output_config.effort` its level; either may be sent alone. */
function readReasoning(body: JsonObject): Pick<ChatRequest, 'reasoningEffort' | 'reasoningBudget'> {
  const effort = readEffort(body.output_config)
  const { thinking } = body
  if (!isObject(thinking)) return present({ reasoningEffort: effort })
  switch (thinking.type) {
    case 'disabled':
      return { reasoningEffort: 'none' }
    case 'adaptive':
    case 'between_tools':
      return { reasoningEffort: effort ?? 'on' }
    case 'enabled': {
      const budget = numberOf(thinking.budget_tokens)
      return {
        reasoningEffort: effort ?? (budget === undefined ? 'on' : effortOfBudget(budget)),
        ...present({ reasoningBudget: budget }),
      }
    }
    default:
      throw badRequest("'thinking.type' must be enabled, disabled or adaptive", 'thinking.type')
  }
}

function readEffort(config: unknown): ReasoningEffort | undefined {
  const effort = isObject(config) ? (config.effort ?? undefined) : undefined
  if (effort === undefined) return undefined
  const level = efforts.find((level) => level === effort)
  if (!level)
    throw badRequest(`'output_config.effort' must be one of ${efforts.join(', ')}`, 'output_config.effort')
  return level
}

function readFormat(body: JsonObject): ResponseFormat | undefined {
  const inConfig = isObject(body.output_config) ? body.output_config.format : undefined
  const format = inConfig ?? body.output_format
  if (!isObject(format)) return undefined
  if (format.type !== 'json_schema' || !isObject(format.schema)) {
    const path = inConfig ? 'output_config.format' : 'output_format'
    throw badRequest(`'${path}' must be of type json_schema and have a schema`, path)
  }
  return { type: 'schema', schema: format.schema }
}
