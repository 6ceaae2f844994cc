import { Type } from '@sinclair/typebox'
import { allowedDatabaseAddress } from '../../../lib/database-address.ts'
import { choices, oneOf, text } from './setting-types.ts'

/** The database of clients, budgets and usage. */
export const teamsSettings = {
  databaseUrl: Type.String({
    default: '',
    writeOnly: true,
    allowed: allowedDatabaseAddress,
    description:
      'Database for clients, keys and groups that change while the router runs: `sqlite:PATH` for one host, `postgres://user:password@host:5432/database` for several; empty: keys file only. [teams.md](teams.md).',
  }),
  timeZone: text(
    'UTC',
    'Time zone in which days, weeks and months of usage and budgets begin, such as `Europe/Warsaw`.',
  ),
  budgetStoreDown: oneOf(
    choices.budgetStoreDown,
    'allow',
    'If the database is unavailable and the local share of a hard budget is used up: `allow` (recorded later) or `refuse` (503).',
  ),
  budgetWebhookUrl: Type.String({
    default: '',
    pattern: '^$|^https://.+',
    writeOnly: true,
    allowed: 'an https:// address',
    description:
      '`https://` URL that is notified when a budget reaches 50, 80 and 100 %; empty disables it. [teams.md](teams.md#webhook).',
  }),
  budgetWebhookSecret: Type.String({
    default: '',
    writeOnly: true,
    description: 'Secret that signs webhook messages; required with a webhook.',
  }),
  usageQuarterDays: Type.Integer({
    default: 62,
    minimum: 32,
    maximum: 3_660,
    unit: 'days',
    description:
      'How long usage is kept at a resolution of 15 minutes, before it is aggregated by day: [teams.md](teams.md#usage).',
  }),
  usageDays: Type.Integer({
    default: 1_100,
    minimum: 32,
    maximum: 36_600,
    unit: 'days',
    description: 'How long daily usage is kept.',
  }),
  usageSpool: text(
    '',
    "Directory for usage while the database is unavailable; empty: next to the SQLite file, or `llm-router-usage` in the system's temporary directory for PostgreSQL.",
  ),
}
