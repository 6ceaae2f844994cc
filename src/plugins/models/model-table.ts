import { looseName } from '../../sdk/engine-listings.ts'
import type { Model } from '../../sdk/target.ts'

/** The models in use, by each name that a client may send. */
export interface ModelTable {
  models: readonly Model[]
  listed: readonly Model[]
  /** By name and by alias. */
  byName: ReadonlyMap<string, Model>
  loosely: ReadonlyMap<string, Model>
  /** Names and aliases by their loose form. */
  canonical: ReadonlyMap<string, string>
  /** Aliases by model. */
  aliases: ReadonlyMap<string, readonly string[]>
}

export function tableOf(models: readonly Model[], aliases: ReadonlyMap<string, string>): ModelTable {
  const named = new Map(models.map((model) => [model.alias, model]))
  const further = [...aliases].flatMap(([name, alias]): [string, Model][] => {
    const model = named.get(alias)
    return model ? [[name, model]] : []
  })
  const names = [...named, ...further]
  return {
    models,
    listed: [...models, ...further.map(([alias, model]) => ({ ...model, alias }))],
    byName: new Map(names),
    loosely: new Map(names.toReversed().map(([name, model]) => [looseName(name), model])),
    canonical: new Map(names.toReversed().map(([name]) => [looseName(name), name])),
    aliases: new Map(
      models.map(({ alias }) => [
        alias,
        further.flatMap(([name, model]) => (model.alias === alias ? [name] : [])),
      ]),
    ),
  }
}
