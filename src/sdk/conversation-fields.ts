import { Type } from '@sinclair/typebox'
import { optional } from './text-endpoint.ts'

/** What both conversation endpoints take. */
export const conversationFields = {
  user_last_statement: Type.String(),
  historical_messages: optional(Type.Array(Type.Object({}))),
  prompt: optional(
    Type.Object({
      id: Type.String({ minLength: 1 }),
      variables: optional(Type.Record(Type.String(), Type.String())),
    }),
  ),
}
