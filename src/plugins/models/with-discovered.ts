import { configForServers, type FoundServer } from '../../config/models/discovered.ts'
import { readJsonc } from '../../lib/json/jsonc.ts'
import { isObject } from '../../lib/json/read.ts'

/**
 * Merges the models of discovered servers into the text of models-config.json, for a start without configuration.
 * Undefined if no model was found or if the file names servers.
 */
export function withDiscovered(text: string, servers: readonly FoundServer[]): string | undefined {
  if (servers.every(({ models }) => models.length === 0)) return undefined
  const { value: own } = { value: undefined, ...readJsonc(text) }
  // Errors in the file are reported by its loader.
  if (!isObject(own) || namesServers(own)) return undefined
  const { active_models: active, ...found } = configForServers(servers)
  return JSON.stringify({
    ...own,
    ...found,
    active_models: {
      ...(isObject(own.active_models) ? own.active_models : {}),
      ...(isObject(active) ? active : {}),
    },
  })
}

/** Whether the value contains any server address. The file shipped with the router has none. */
function namesServers(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(namesServers)
  if (!isObject(value)) return false
  return 'api_host' in value || Object.values(value).some(namesServers)
}
