import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ClientRequest } from '../../relay/request/client-request.ts'
import { badRequest } from '../../sdk/errors.ts'
import { namedPrompt } from '../text-endpoints/system-prompt.ts'
import { systemOf } from '../text-endpoints/text-request.ts'

const promptHeader = 'x-llm-router-prompt'
const variablesHeader = 'x-llm-router-prompt-variables'

/**
 * The client request with the prompt named in a header as its first system message. The request then no longer consists of
 * the client's bytes, so it is converted to the canonical form.
 */
export function withNamedPrompt(
  app: FastifyInstance,
  client: ClientRequest,
  request: FastifyRequest,
): ClientRequest {
  const id = request.headers[promptHeader]
  if (client.source.from === 'router' || typeof id !== 'string' || id === '') return client
  const variables = variablesIn(request.headers[variablesHeader])
  const text = namedPrompt(app.prompts, { id, variables, path: promptHeader })
  request.limitUse?.addPrompt(() => text)
  client.dialect.chat.checkRequest?.(client.outline)
  const read = client.dialect.chat.readRequest(client.readBody(), client.stream)
  return {
    ...client,
    source: { from: 'router', request: { ...read, messages: [systemOf(text), ...read.messages] } },
  }
}

/** Values of a prompt's placeholders: a JSON object of strings. Headers are ASCII, so other characters are `\u` escapes. */
function variablesIn(header: string | string[] | undefined): Record<string, string> {
  if (typeof header !== 'string' || header === '') return {}
  const parsed = parsedJson(header)
  if (isStrings(parsed)) return parsed
  throw badRequest(`The header ${variablesHeader} must be a JSON object of strings`, variablesHeader)
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // the parser's own words would quote the header
  }
}

function isStrings(value: unknown): value is Record<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Object.values(value).every((each) => typeof each === 'string')
}
