import { type TSchema, Type } from '@sinclair/typebox'

/** A member that may be missing or `null`: clients and servers send `null` for what is not set. */
export function optional<T extends TSchema>(schema: T) {
  return Type.Optional(Type.Union([schema, Type.Null()]))
}

/** Roles in lower case, capitalized or in capitals, as clients spell them. */
export function rolesOf(roles: readonly string[]) {
  return Type.Union(
    roles
      .flatMap((role) => [role, role[0]?.toUpperCase() + role.slice(1), role.toUpperCase()])
      .map((role) => Type.Literal(role)),
    { errorMessage: `one of ${roles.join(', ')}` },
  )
}

/** `stream` as a boolean, or as the string that some clients send. */
export const streamFlag = Type.Optional(
  Type.Union([Type.Boolean(), Type.Null(), Type.Literal('true'), Type.Literal('false')], {
    errorMessage: 'true or false',
  }),
)
