import { createHash } from 'node:crypto'
import type { ChatMessage } from '../../sdk/chat.ts'
import type { Profile } from '../../sdk/profile.ts'
import type { Drop } from '../../sdk/write-options.ts'

/**
 * The end-user id in a form that the model's server accepts. A digest still distinguishes users, which is its only purpose.
 */
export function fitUser(user: string | undefined, profile: Profile, drop: Drop): string | undefined {
  if (user === undefined) return undefined
  const { max_user: longest = Number.POSITIVE_INFINITY, user_email: email = true } = profile
  const isAddress = !email && /[^\s@]@[^\s@]/.test(user)
  if (!isAddress && user.length <= longest) return user
  const why = isAddress ? 'takes no email address' : `takes ${longest} characters`
  drop('user', `the upstream ${why} as the id of a user; a digest was sent`)
  return `user_${digestOf(user, 32)}`.slice(0, longest)
}

/** The conversation with tool call ids that the server accepts. Each depends only on the client's id. */
export function fitCallIds(messages: readonly ChatMessage[], profile: Profile): ChatMessage[] {
  const { max_call_id: longest = Number.POSITIVE_INFINITY, exact_call_id: exact } = profile
  const fit = (id: string): string => {
    if (exact !== undefined) return isExact(id, exact) ? id : lettersAndDigits(id, exact)
    return id.length <= longest ? id : `call_${digestOf(id, 24)}`.slice(0, longest)
  }
  return messages.map((message) => {
    if (message.role === 'tool') return { ...message, callId: fit(message.callId) }
    if (message.role !== 'assistant' || message.toolCalls.length === 0) return message
    return { ...message, toolCalls: message.toolCalls.map((call) => ({ ...call, id: fit(call.id) })) }
  })
}

/** Whether a request may need {@link fitCallIds}. */
export function limitsCallIds({ max_call_id: longest, exact_call_id: exact }: Profile): boolean {
  return longest !== undefined || exact !== undefined
}

/** Deterministic, so a text has the same digest in every turn. */
export function digestOf(text: string, characters: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, characters)
}

function isExact(id: string, length: number): boolean {
  return id.length === length && /^[a-zA-Z0-9]*$/.test(id)
}

function lettersAndDigits(id: string, length: number): string {
  const digest = createHash('sha512')
    .update(id)
    .digest('base64')
    .replaceAll(/[^a-zA-Z0-9]/g, '')
  return digest.slice(0, length).padEnd(length, '0')
}
