import type { FastifyRequest } from 'fastify'
import { defaultTurn, type Turn } from '../../relay/run/lease.ts'
import { RouterError } from '../../sdk/errors.ts'
import { type Priority, priorities } from '../../sdk/strategy.ts'

const priorityHeader = 'x-llm-router-priority'
const canaryHeader = 'x-llm-router-canary'
const deadlineHeader = 'x-llm-router-deadline-ms'

interface RequestTurn {
  turn: Turn
  priority: Priority
  canary?: boolean
}

const plain: RequestTurn = { turn: defaultTurn, priority: 'normal' }

/**
 * How the request waits for a slot, from its client's key and its headers. Its own priority applies only if the
 * key permits that; without client keys every client could choose the highest. Throws 400 for an invalid header.
 */
export function turnOf({
  client,
  headers,
  exchange,
}: Pick<FastifyRequest, 'client' | 'headers' | 'exchange'>): RequestTurn {
  const deadline = headers[deadlineHeader]
  const chosen = client?.choosesPriority ? headers[priorityHeader] : undefined
  if (client === undefined && deadline === undefined) return plain
  const deadlineAt = deadline === undefined ? undefined : exchange.startedAt + deadlineMsOf(deadline)
  const canary = client?.choosesCanary ? headers[canaryHeader] : undefined
  return {
    ...(canary === undefined ? {} : { canary: canaryOf(canary) }),
    turn: { weight: client?.weight ?? 1, deadlineAt },
    priority: chosen === undefined ? (client?.priority ?? 'normal') : priorityOf(chosen),
  }
}

function canaryOf(text: string | string[]): boolean {
  const word = String(text).trim().toLowerCase()
  if (word !== 'true' && word !== 'false') throw badHeader(canaryHeader, 'true, false')
  return word === 'true'
}

function priorityOf(text: string | string[]): Priority {
  const priority = priorities.find((each) => each === String(text).trim().toLowerCase())
  if (!priority) throw badHeader(priorityHeader, priorities.join(', '))
  return priority
}

function deadlineMsOf(text: string | string[]): number {
  const ms = /^\d{1,12}$/.test(String(text).trim()) ? Number(text) : 0
  if (ms === 0) throw badHeader(deadlineHeader, 'a number of milliseconds over 0')
  return ms
}

function badHeader(name: string, allowed: string): RouterError {
  return new RouterError('bad_request', `Invalid header ${name}: must be ${allowed}`, {
    code: 'invalid_header',
    param: name,
  })
}
