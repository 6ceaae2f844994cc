import { dirname } from 'node:path'
import { isObject } from '../../lib/json/read.ts'
import type { ProviderType } from '../../sdk/provider.ts'
import type { Registry } from '../../sdk/registry.ts'
import { readConfigText, syntaxOf } from '../config-text.ts'
import type { Findings } from '../models/check.ts'
import type { Server } from '../models/server-schema.ts'
import { proxyRule } from '../proxy-rule.ts'
import type { Config } from '../settings/settings.ts'
import type { FileContent, ModelsSnapshot } from '../sources.ts'
import { readServer, type ServerAccess, type TargetSources } from '../targets/target-access.ts'
import { followsModels } from './published.ts'
import { readServers } from './servers.ts'

/** A server with discovered models, addresses, or both. */
export interface FollowedServer extends ServerAccess {
  id: string
  apiType: string
  /** Whether its model list is requested. */
  hasModels: boolean
  addresses: 'one' | 'all'
  kubernetes: Server['kubernetes']
}

/**
 * Returns the servers in a models-config.json to watch. Invalid ones are skipped; they are reported when the file is loaded.
 */
export function followedServers({ main, files }: ModelsSnapshot, sources: FileSources): FollowedServer[] {
  const root =
    'text' in main ? readConfigText(main.text, syntaxOf(sources.config.modelsConfigPath)) : undefined
  if (!root || root.syntaxError || !isObject(root.value)) return []
  const { list } = readServers(root.value, { errors: [], warnings: [] })
  return list.flatMap((entry): FollowedServer[] => {
    const { models, addresses, kubernetes, api_type: apiType } = entry.server
    const hasModels = models !== undefined && (followsModels(entry) || apiType !== 'mock')
    if (!hasModels && addresses === undefined && kubernetes === undefined) return []
    const findings: Findings = { errors: [], warnings: [] }
    const access = readServer(entry, targetSources(sources, files), findings)
    if (access.host === undefined) return []
    const type = access.type?.name ?? apiType
    return [{ ...access, id: entry.id, apiType: type, hasModels, addresses: addresses ?? 'one', kubernetes }]
  })
}

export interface FileSources {
  config: Config
  env: Readonly<Record<string, string | undefined>>
  providers: Registry<ProviderType>
}

/** Returns the sources for building targets, with the files of the snapshot. */
export function targetSources(
  { config, env, providers }: FileSources,
  files: Readonly<Record<string, FileContent>>,
): TargetSources {
  return {
    providers,
    env,
    readFile: (file) => contentIn(files, file),
    baseDir: dirname(config.modelsConfigPath),
    syntax: syntaxOf(config.modelsConfigPath),
    allowLinkLocal: config.allowLinkLocal,
    proxyOf: proxyRule(config),
  }
}

/** Behaves like `fs.readFileSync` at the time of the snapshot. */
function contentIn(files: Readonly<Record<string, FileContent>>, path: string): string {
  const content = Object.hasOwn(files, path) ? files[path] : undefined
  if (content && 'text' in content) return content.text
  throw Object.assign(new Error('the file cannot be read'), { code: content?.code ?? 'ENOENT' })
}
