import { errorPosition, fromTextPosition, modelPath } from '../config/config-path.ts'
import { readConfigText, syntaxOf } from '../config/config-text.ts'
import { ConnectError } from '../lib/connect-error.ts'
import type { TextPosition } from '../lib/json/jsonc.ts'
import { isObject } from '../lib/json/read.ts'
import { askOnce } from '../relay/upstream/ask-once.ts'
import type { Model, Target } from '../sdk/target.ts'
import type { Command } from './command-line.ts'
import { readWholeConfig } from './whole-config.ts'

/**
 * `check [file]`: reports every error that would prevent a start and every likely mistake, with file, line and column. Also
 * asks servers of type `vllm` and `openai` whether they are llama.cpp; servers that do not respond are skipped.
 */
export const check: Command = async ([file], { env, print }) => {
  const {
    config,
    text,
    models,
    errors,
    warnings: configWarnings,
  } = await readWholeConfig(env, file, { askServers: true })
  const path = config.modelsConfigPath
  const document = text === undefined ? undefined : readConfigText(text, syntaxOf(path))
  const positions = document?.syntaxError ? undefined : document
  const warnings = [...configWarnings, ...(await checkConnections(models))]
  const findings: Finding[] = [
    ...errors.map((message): Finding => ({ kind: 'error', ...fileAndPosition(message) })),
    ...warnings.map((message): Finding => {
      const located = fromTextPosition(message) ?? { message, position: errorPosition(message, positions) }
      return { kind: 'warning', file: path, ...located }
    }),
  ]
  for (const finding of findings.toSorted(byPosition)) print(format(finding))
  const unresolved = serversWithAllModels(positions?.value).filter((id) => !hasTarget(models, id))
  if (errors.length === 0 && unresolved.length > 0)
    print(`${path}: no models from ${unresolved.join(', ')}: no answer, or no model there\n`)
  const serverCount = models.reduce((sum, { targets, standby }) => sum + targets.length + standby.length, 0)
  const warningCount = counted(findings.length - errors.length, 'warning')
  if (errors.length > 0) print(`${path}: ${counted(errors.length, 'error')}, ${warningCount}\n`)
  else
    print(
      `${path}: ${counted(models.length, 'model')}, ${counted(serverCount, 'server')}, no errors, ${warningCount}\n`,
    )
  return errors.length > 0 ? 2 : 0
}

/** Ids of the servers that publish all of their models. */
function serversWithAllModels(config: unknown): string[] {
  const list = isObject(config) && Array.isArray(config.servers) ? config.servers : []
  return list.flatMap((server) => (isObject(server) && server.models === '*' ? [String(server.id)] : []))
}

function hasTarget(models: readonly Model[], server: string): boolean {
  return models.some(({ targets }) => targets.some(({ id }) => id.startsWith(`${server}/`)))
}

interface Finding {
  kind: 'error' | 'warning'
  message: string
  file: string
  /** Undefined for findings outside a file. */
  position: TextPosition | undefined
}

/** Parses an error as `file:line:column: message`. */
function fileAndPosition(error: string): Omit<Finding, 'kind'> {
  const [, file, line, column, message] = /^(.+?):(\d+):(\d+): (.*)$/s.exec(error) ?? []
  if (file === undefined || message === undefined) return { message: error, file: '', position: undefined }
  return { message, file, position: { line: Number(line), column: Number(column) } }
}

function format({ kind, message, file, position }: Finding): string {
  return `${position ? `${file}:${position.line}:${position.column}: ` : ''}${kind}: ${message}\n`
}

function byPosition({ position: a }: Finding, { position: b }: Finding): number {
  return (a?.line ?? 0) - (b?.line ?? 0) || (a?.column ?? 0) - (b?.column ?? 0)
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

const timeoutMs = 3_000

interface LocatedTarget {
  target: Target
  path: string
}

/**
 * Connects once to each server behind TLS or a proxy, without a key. Returns a warning for every certificate or proxy error
 * that would make requests fail. A server that is down is not a configuration error.
 */
export async function checkConnections(models: readonly Model[]): Promise<string[]> {
  const servers = Map.groupBy(models.flatMap(locatedTargets), ({ target: { origin, connection } }) =>
    JSON.stringify([origin, connection]),
  )
  const warnings = [...servers.values()].map(async (targets) => {
    const [first] = targets
    const error = first && (await errorOf(first.target))
    return error === undefined ? [] : targets.map(({ path }) => `${path}: no connection: ${error}`)
  })
  return (await Promise.all(warnings)).flat()
}

function locatedTargets({ group, alias, targets, standby }: Model): LocatedTarget[] {
  const located = (list: readonly Target[], name: string): LocatedTarget[] =>
    list.map((target, index) => ({ target, path: `${modelPath(group, alias)}.${name}[${index}].api_host` }))
  return [...located(targets, 'providers'), ...located(standby, 'providers_sleep')].filter(
    ({ target: { origin, connection } }) => origin.startsWith('https:') || connection?.proxy !== undefined,
  )
}

async function errorOf({ origin, connection, healthPath: path = '/' }: Target): Promise<string | undefined> {
  try {
    await askOnce({ origin, path, connection, signal: AbortSignal.timeout(timeoutMs) })
  } catch (error) {
    if (error instanceof ConnectError) return error.message
  }
  return undefined
}
