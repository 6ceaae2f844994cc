import { errorPosition, fromTextPosition, modelPath } from '../config/config-path.ts'
import { readConfigText, syntaxOf } from '../config/config-text.ts'
import { ConnectError } from '../lib/connect-error.ts'
import type { TextPosition } from '../lib/json/jsonc.ts'
import { askOnce } from '../relay/upstream/ask-once.ts'
import type { Model, Target } from '../sdk/target.ts'
import type { Command } from './command-line.ts'
import { readWholeConfig } from './whole-config.ts'

/**
 * `check [file]`: reports every error that would prevent a start and every likely mistake, with file, line and column.
 * Servers of type `vllm` and `openai` are briefly asked whether they are llama.cpp; those that do not answer are
 * skipped.
 */
export const check: Command = async ([file], { env, print }) => {
  const whole = await readWholeConfig(env, file, { askServers: true })
  const { config, text, models, errors, warnings: found } = whole
  const path = config.modelsConfigPath
  const document = text === undefined ? undefined : readConfigText(text, syntaxOf(path))
  if (document?.syntaxError) {
    const { syntaxError: position } = document
    print(shown({ kind: 'error', message: `not valid ${syntaxOf(path)} from here on`, position }, path))
    return 2
  }
  const warnings = [...found, ...(await checkConnections(models))]
  const findings: Finding[] = [
    ...errors.map(
      (message): Finding => ({ kind: 'error', message, position: errorPosition(message, document) }),
    ),
    ...warnings.map((message): Finding => {
      const placed = fromTextPosition(message) ?? { message, position: errorPosition(message, document) }
      return { kind: 'warning', ...placed }
    }),
  ]
  for (const finding of findings.toSorted(byPosition)) print(shown(finding, path))
  const servers = models.reduce((sum, { targets, sleeping }) => sum + targets.length + sleeping.length, 0)
  const warned = counted(findings.length - errors.length, 'warning')
  if (errors.length > 0) print(`${path}: ${counted(errors.length, 'error')}, ${warned}\n`)
  else
    print(
      `${path}: ${counted(models.length, 'model')}, ${counted(servers, 'server')}, no errors, ${warned}\n`,
    )
  return errors.length > 0 ? 2 : 0
}

interface Finding {
  kind: 'error' | 'warning'
  message: string
  /** Undefined for findings outside the file. */
  position: TextPosition | undefined
}

function shown({ kind, message, position }: Finding, path: string): string {
  return `${position ? `${path}:${position.line}:${position.column}: ` : ''}${kind}: ${message}\n`
}

function byPosition({ position: a }: Finding, { position: b }: Finding): number {
  return (a?.line ?? 0) - (b?.line ?? 0) || (a?.column ?? 0) - (b?.column ?? 0)
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

const timeoutMs = 3_000

interface PlacedTarget {
  target: Target
  path: string
}

/**
 * Connects to each server behind TLS or a proxy once, without a key. Returns a warning for every certificate or proxy
 * error that would fail requests. A server that is down is not a configuration error.
 */
export async function checkConnections(models: readonly Model[]): Promise<string[]> {
  const servers = Map.groupBy(models.flatMap(placedTargets), ({ target: { origin, connection } }) =>
    JSON.stringify([origin, connection]),
  )
  const verdicts = [...servers.values()].map(async (placed) => {
    const [first] = placed
    const error = first && (await errorOf(first.target))
    return error === undefined ? [] : placed.map(({ path }) => `${path}: no connection: ${error}`)
  })
  return (await Promise.all(verdicts)).flat()
}

function placedTargets({ group, alias, targets, sleeping }: Model): PlacedTarget[] {
  const placed = (list: readonly Target[], name: string): PlacedTarget[] =>
    list.map((target, index) => ({ target, path: `${modelPath(group, alias)}.${name}[${index}].api_host` }))
  return [...placed(targets, 'providers'), ...placed(sleeping, 'providers_sleep')].filter(
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
