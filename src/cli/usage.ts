import { isTimeZone } from '../lib/time-zone.ts'
import { ConfigError, RouterError } from '../sdk/errors.ts'
import { UsageQuerySchema, type UsageQuestion, usageCsv, usageQuestion } from '../sdk/teams/usage.ts'
import type { Command, CommandContext } from './command-line.ts'
import { membersOf, onDatabase } from './directory.ts'

/** `llm-router usage from=2026-11-01 by=client,model bucket=day format=csv`, directly on the database. */
export const usageCommand: Command = async (args, context) => {
  const { format = 'json', ...query } = membersOf(UsageQuerySchema, args)
  if (format !== 'json' && format !== 'csv') throw new ConfigError(['format must be json or csv'])
  const question = questionOf(query, context)
  const lines = await onDatabase(context, (run) => run('usage', question))
  context.print(format === 'csv' ? usageCsv(question, lines) : `${JSON.stringify(lines, null, 2)}\n`)
  return 0
}

function questionOf(query: object, { env }: CommandContext): UsageQuestion {
  const zone = env.LLM_ROUTER_TIME_ZONE?.trim() || 'UTC'
  if (!isTimeZone(zone)) throw new ConfigError([`LLM_ROUTER_TIME_ZONE: ${zone} is not a time zone`])
  try {
    return usageQuestion(query, { zone, now: Date.now() })
  } catch (error) {
    throw error instanceof RouterError ? new ConfigError([error.message]) : error
  }
}
