import { isObject } from '../lib/json/read.ts'
import { configOf, type FoundServer } from './discovered.ts'

/**
 * The text of a models-config.json with the models of found servers beside its own, for a start without any
 * configuration. Undefined where nothing is to be added: no model was found, or the file names servers itself.
 */
export function withDiscovered(text: string, servers: readonly FoundServer[]): string | undefined {
  if (servers.every(({ models }) => models.length === 0)) return undefined
  const own = parsed(text)
  if (!own || namesServers(own)) return undefined
  const { active_models: active, ...found } = configOf(servers)
  return JSON.stringify({
    ...own,
    ...found,
    active_models: {
      ...(isObject(own.active_models) ? own.active_models : {}),
      ...(isObject(active) ? active : {}),
    },
  })
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined // its reader tells what is wrong with it
  }
}

/** Whether anything in it has an address; the file that comes with the router has none. */
function namesServers(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(namesServers)
  if (!isObject(value)) return false
  return 'api_host' in value || Object.values(value).some(namesServers)
}
