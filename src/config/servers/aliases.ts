import { shownValue } from '../../lib/json/allowed.ts'
import { isObject } from '../../lib/json/read.ts'
import { pathOfMember } from '../config-path.ts'
import type { Findings } from '../models/check.ts'
import { checkModelName } from '../models/known-models.ts'

export interface ModelNames {
  /** Models listed in the file. */
  configured: ReadonlySet<string>
  /** Models currently published by servers. */
  published: ReadonlySet<string>
  /** Whether servers may publish further models later. */
  mayGrow: boolean
}

/** Reads `aliases`. Invalid entries are added to the findings and skipped. */
export function readAliases(
  root: Record<string, unknown>,
  { configured, published, mayGrow }: ModelNames,
  findings: Findings,
): ReadonlyMap<string, string> {
  const { errors } = findings
  const { aliases = {} } = root
  if (!isObject(aliases)) {
    errors.push('aliases: not an object; it maps further names to models, as {"name": "model"}')
    return new Map()
  }
  const models = new Set([...configured, ...published])
  const valid = Object.entries(aliases).filter(([name, model]) => {
    const path = pathOfMember('aliases', name)
    const before = errors.length
    if (/^[$_]/.test(name) && typeof model !== 'string') return false
    if (isObject(model))
      errors.push(
        `${path}: an object is not the name of a model; the name "aliases" is reserved, so a group of models needs another name`,
      )
    else if (typeof model !== 'string' || model === '')
      errors.push(`${path}: ${shownValue(model)} is not the name of a model`)
    else if (name === '') errors.push(`${path}: a name must not be empty`)
    else if (configured.has(name)) errors.push(`${path}: there is a model of this name`)
    else if (name === model) errors.push(`${path}: an alias cannot refer to itself`)
    else if (Object.hasOwn(aliases, model) && !models.has(model))
      errors.push(`${path}: ${JSON.stringify(model)} is an alias too; name the model itself`)
    else checkModelName(model, path, { models, mayGrow }, findings, 'the alias works once a server has it')
    return errors.length === before
  })
  return new Map(valid.map(([name, model]) => [name, String(model)]))
}

/** Names of aliases, valid or not. */
export function aliasNames({ aliases }: Record<string, unknown>): string[] {
  return isObject(aliases) ? Object.keys(aliases) : []
}
