import { Type } from '@sinclair/typebox'

/** Schemas of the Responses API's responses for the API documentation. Source: OpenAI API reference, "The response object". */

const orNull = <Item extends Parameters<typeof Type.Union>[0][number]>(item: Item) =>
  Type.Optional(Type.Union([item, Type.Null()]))
const count = Type.Integer({ minimum: 0 })

export const ResponseSchema = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('response'),
    created_at: Type.Number({ description: 'Seconds since 1970.' }),
    status: Type.Optional(
      Type.String({
        description: '`completed`, `incomplete`, `failed`, `in_progress`, `queued` or `cancelled`.',
      }),
    ),
    model: Type.String(),
    output: Type.Array(
      Type.Object(
        { type: Type.String({ description: 'Such as `message`, `reasoning` or `function_call`.' }) },
        { additionalProperties: true },
      ),
    ),
    error: orNull(
      Type.Object({ code: Type.Optional(Type.Unknown()), message: Type.Optional(Type.String()) }),
    ),
    incomplete_details: orNull(Type.Object({ reason: Type.Optional(Type.String()) })),
    previous_response_id: orNull(Type.String()),
    store: orNull(Type.Boolean()),
    usage: orNull(
      Type.Object({
        input_tokens: count,
        output_tokens: count,
        total_tokens: count,
        input_tokens_details: orNull(Type.Object({ cached_tokens: Type.Optional(count) })),
        output_tokens_details: orNull(Type.Object({ reasoning_tokens: Type.Optional(count) })),
      }),
    ),
  },
  { title: 'Response' },
)

export const InputItemListSchema = Type.Object(
  {
    object: Type.Literal('list'),
    data: Type.Array(Type.Object({ id: Type.String(), type: Type.String() }, { additionalProperties: true })),
    first_id: orNull(Type.String()),
    last_id: orNull(Type.String()),
    has_more: Type.Boolean(),
  },
  { title: 'InputItemList' },
)

export const DeletedResponseSchema = Type.Object(
  { id: Type.String(), object: Type.String(), deleted: Type.Boolean() },
  { title: 'DeletedResponse' },
)
