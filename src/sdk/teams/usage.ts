import { type Static, Type } from '@sinclair/typebox'
import { momentOfText, timeZone } from '../../lib/time-zone.ts'
import { badRequest } from '../errors.ts'
import { csvOf } from './csv.ts'

/** Dimensions of usage. */
export const usageDimensions = ['client', 'group', 'key', 'model', 'target'] as const
export type UsageDimension = (typeof usageDimensions)[number]

export const usageBuckets = ['quarter', 'hour', 'day', 'week', 'month'] as const
export type UsageBucket = (typeof usageBuckets)[number]

/** Parsed query. Times in milliseconds since 1970. */
export interface UsageQuestion {
  from: number
  /** Exclusive. */
  to: number
  by: readonly UsageDimension[]
  /** Undefined: one bucket for the whole period. */
  bucket?: UsageBucket | undefined
  /** IANA name of the time zone whose days and weeks are used. */
  timeZone: string
  client?: string | undefined
  group?: string | undefined
  model?: string | undefined
}

const count = (description: string) => Type.Integer({ description })

/** One line of a report; has only the requested dimensions. */
export const UsageLineSchema = Type.Object({
  period: Type.Optional(Type.String({ description: 'Start of the period, with `bucket`.' })),
  client: Type.Optional(Type.String()),
  group: Type.Optional(Type.String({ description: 'Current group of the client; empty: none.' })),
  key: Type.Optional(
    Type.String({
      description: 'Id of the key; empty for clients of the keys file, which have only one key.',
    }),
  ),
  model: Type.Optional(Type.String({ description: 'The model that answered.' })),
  target: Type.Optional(Type.String({ description: 'Empty if no target was tried.' })),
  requests: count('Requests that have ended.'),
  errors: count('Requests that ended with an error, cancellations by the client excluded.'),
  prompt_tokens: count('Including cached tokens.'),
  cached_tokens: count('Prompt tokens that the engine had in its cache.'),
  completion_tokens: count('Including reasoning tokens.'),
  reasoning_tokens: count('Part of the completion tokens.'),
  busy_seconds: Type.Number({
    description: 'Busy seconds of the servers, divided among concurrent requests at the same server.',
  }),
  cost: Type.Number({ description: 'Calculated with the prices at the time of the request.' }),
})
export type UsageLine = Static<typeof UsageLineSchema>

const text = (description: string) => Type.Optional(Type.String({ maxLength: 200, description }))

/** Query parameters. */
export const UsageQuerySchema = Type.Object({
  from: text(
    'A date in LLM_ROUTER_TIME_ZONE or a time such as `2026-11-01T00:00:00Z`. Default: 30 days ago.',
  ),
  to: text('End of the period, exclusive. Default: now.'),
  by: text(`What to group by: ${usageDimensions.join(', ')}, comma-separated.`),
  bucket: text(`Length of the periods: ${usageBuckets.join(', ')}; absent: one period.`),
  client: text('Only this client.'),
  group: text('Only clients that are in this group.'),
  model: text('Only this model.'),
  format: text('`json` or `csv`. Default: according to `Accept`, otherwise JSON.'),
})
export type UsageQuery = Static<typeof UsageQuerySchema>

const defaultDays = 30

/** Parses a query; throws a RouterError that names the invalid parameter. `now`: milliseconds since 1970. */
export function usageQuestion(
  query: Omit<UsageQuery, 'format'>,
  { zone: name, now }: { zone: string; now: number },
): UsageQuestion {
  const zone = timeZone(name)
  const moment = (member: 'from' | 'to', preset: number): number => {
    const given = query[member]
    const at = given === undefined ? preset : momentOfText(given, zone)
    if (at !== undefined) return at
    throw badRequest(
      `'${member}' must be a date such as 2026-11-01 or a time such as 2026-11-01T00:00:00Z`,
      member,
      'invalid_value',
    )
  }
  const from = moment('from', zone.dayAfter(now, -defaultDays))
  const to = moment('to', now + 1)
  if (to <= from) throw badRequest("'to' is not after 'from'", 'to', 'invalid_value')
  const { client, group, model } = query
  return {
    from,
    to,
    timeZone: name,
    client,
    group,
    model,
    by: [...new Set((query.by ?? '').split(',').filter((each) => each.trim() !== ''))].map((each) =>
      word('by', each.trim(), usageDimensions),
    ),
    bucket: query.bucket ? word('bucket', query.bucket, usageBuckets) : undefined,
  }
}

function word<Word extends string>(member: string, given: string, known: readonly Word[]): Word {
  const found = known.find((each) => each === given)
  if (found !== undefined) return found
  throw badRequest(`'${member}' must be one of: ${known.join(', ')}`, member, 'invalid_value')
}

/** Formats a report as CSV with the columns of the requested dimensions. */
export function usageCsv({ by, bucket }: UsageQuestion, lines: readonly UsageLine[]): string {
  const counts = Object.keys(UsageLineSchema.properties).filter(
    (name) => name !== 'period' && !usageDimensions.some((dimension) => dimension === name),
  )
  return csvOf([...(bucket === undefined ? [] : ['period']), ...by, ...counts], lines)
}
