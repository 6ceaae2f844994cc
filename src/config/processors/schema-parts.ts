import { Type } from '@sinclair/typebox'

export const strings = (description: string) =>
  Type.Optional(Type.Array(Type.String({ minLength: 1 }), { description }))
export const yesNo = (description: string) => Type.Optional(Type.Boolean({ description }))

/** Whom a processor is for, and what happens when it fails. */
export const scope = {
  name: Type.Optional(
    Type.String({
      pattern: '^[a-z0-9][a-z0-9_-]{0,31}$',
      description: 'Name in logs and metrics, unique in the file; its type if absent.',
      allowed: 'up to 32 lower-case letters, digits, hyphens and underscores',
    }),
  ),
  models: strings(
    'Models that it applies to; absent: all. It also applies to a request whose fallback models name one.',
  ),
  groups: strings('Groups of clients that it applies to; absent: all clients.'),
  clients: strings('Ids of clients that it applies to; absent: all clients.'),
  failure: Type.Optional(
    Type.Union([Type.Literal('closed'), Type.Literal('open')], {
      description:
        '"closed": a request that it cannot process is refused. "open": it passes unprocessed, which is logged and counted. Default: closed.',
      allowed: '"closed" or "open"',
    }),
  ),
  timeout: Type.Optional(
    Type.Number({
      exclusiveMinimum: 0,
      maximum: 600,
      description: 'Longest time in seconds for one request; 5 unless given.',
      allowed: 'a number of seconds over 0, up to 600',
    }),
  ),
}

export const address = (description: string) =>
  Type.String({ pattern: '^https?://', description, allowed: 'an http:// or https:// address' })
