import { allTargets, type Model } from '../sdk/target.ts'
import type { Command } from './command-line.ts'
import { formatTable } from './table.ts'
import { readWholeConfig } from './whole-config.ts'

/**
 * `models [file]`: lists the models that would be served, one per line; with `--profiles` the servers of each model, with the
 * profile of the model there. Shows no addresses or keys.
 */
export const models: Command = async ([file], { env, flags, print, printError }) => {
  const { config, errors, models: served } = await readWholeConfig(env, file)
  for (const error of errors) printError(`${error}\n`)
  if (errors.length > 0) return 2
  if (flags.profiles) {
    for (const model of served) for (const line of profileLines(model)) print(`${line}\n`)
    return 0
  }
  const rows = [['MODEL', 'SERVERS', 'STRATEGY', 'CONTEXT']]
  for (const model of served) rows.push(rowOf(model, config.balanceStrategy))
  print(formatTable(rows))
  return 0
}

/** Formats profiles as JSON, so that parts can be copied to `profile` of a provider. */
function profileLines(model: Model): string[] {
  return allTargets(model).map(({ id, type, upstreamModel, profile = {} }) => {
    return `${model.alias}  ${id}  ${type.name}  ${upstreamModel}  ${JSON.stringify(profile)}`
  })
}

function rowOf({ alias, targets, standby, strategy }: Model, defaultStrategy: string): string[] {
  const types = new Map<string, number>()
  for (const { type } of targets) types.set(type.name, (types.get(type.name) ?? 0) + 1)
  const servers = [...types].map(([type, count]) => (count === 1 ? type : `${count} ${type}`))
  if (standby.length > 0) servers.push(`${standby.length} standby`)
  const sizes = targets.map(({ inputSize }) => inputSize).filter((size) => size > 0)
  const context = sizes.length === 0 ? 0 : Math.min(...sizes)
  return [
    alias,
    servers.join(', ') || 'none',
    strategy ?? defaultStrategy,
    context > 0 ? String(context) : 'unknown',
  ]
}
