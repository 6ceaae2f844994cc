import { didYouMean } from '../../lib/did-you-mean.ts'
import type { Findings } from './check.ts'

/** The models to which other parts of models-config.json can refer. */
export interface KnownModels {
  models: ReadonlySet<string>
  /** Whether servers may publish further models later. */
  mayGrow: boolean
}

/**
 * Reports a reference to a model that does not exist: as an error, or as a warning if a server may still publish it.
 * `later`: what happens then.
 */
export function checkModelName(
  name: string,
  path: string,
  { models, mayGrow }: KnownModels,
  { errors, warnings }: Findings,
  later = 'it is used once a server has it',
): void {
  if (models.has(name)) return
  const text = `${path}: ${unknownModel(name, models)}`
  if (mayGrow) warnings.push(`${text}; ${later}`)
  else errors.push(text)
}

export function unknownModel(name: string, models: ReadonlySet<string>): string {
  return `no active model ${JSON.stringify(name)}${didYouMean(name, models)}`
}
