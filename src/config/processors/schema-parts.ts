import { Type } from '@sinclair/typebox'

export const strings = (description: string) =>
  Type.Optional(Type.Array(Type.String({ minLength: 1 }), { description }))
export const yesNo = (description: string) => Type.Optional(Type.Boolean({ description }))

/** Scope and failure handling of a processor. */
export const scope = {
  name: Type.Optional(
    Type.String({
      pattern: '^[a-z0-9][a-z0-9_-]{0,31}$',
      description: 'Name in logs and metrics, unique in the file. Default: the type.',
      allowed: 'up to 32 lower-case letters, digits, hyphens and underscores',
    }),
  ),
  models: strings(
    'Models that it applies to. Default: all. It also applies to a request if one of them is a fallback of the requested model.',
  ),
  groups: strings('Groups of clients that it applies to. Default: all clients.'),
  clients: strings('Ids of clients that it applies to. Default: all clients.'),
  failure: Type.Optional(
    Type.Union([Type.Literal('closed'), Type.Literal('open')], {
      description:
        'What happens if it fails: "closed" rejects the request; "open" passes it on unprocessed, which is logged and counted. Default: "closed", but "open" for guardrails with "action": "flag".',
      allowed: '"closed" or "open"',
    }),
  ),
  timeout: Type.Optional(
    Type.Number({
      exclusiveMinimum: 0,
      maximum: 600,
      description: 'Maximum time per request, in seconds. Default: 5.',
      allowed: 'a number of seconds over 0, up to 600',
    }),
  ),
}

export const address = (description: string) =>
  Type.String({ pattern: '^https?://', description, allowed: 'an http:// or https:// address' })

export const apiToken = Type.Optional(
  Type.String({
    description: `Key for the service, sent as a bearer token. Use \${NAME} to read it from an environment variable.`,
    writeOnly: true,
  }),
)
