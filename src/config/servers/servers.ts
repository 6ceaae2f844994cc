import { didYouMean } from '../../lib/did-you-mean.ts'
import { isObject } from '../../lib/json/read.ts'
import {
  checkPart,
  type Findings,
  type ProviderAtPath,
  providerHints,
  type ServerMembers,
} from '../models/check.ts'
import type { Provider } from '../models/schema.ts'
import { type Server, ServerSchema } from '../models/server-schema.ts'

export interface ServerAtPath {
  id: string
  path: string
  server: Server
}

/** The entries of `servers`. */
export interface Servers extends ServerMembers {
  readonly list: readonly ServerAtPath[]
  byId(id: string): ServerAtPath | undefined
}

type ServedProvider = Partial<Provider>

/** Reserved names in models-config.json that are not model groups. */
const reservedNames = ['servers', 'aliases', 'active_models', 'processors', 'auto_model'] as const

export function isReserved(name: string): boolean {
  return reservedNames.some((reserved) => reserved === name)
}

/** Mutually exclusive members: if the provider sets one of them, none is inherited. */
const exclusiveMembers = [
  ['api_token', 'api_token_file'],
  ['client_cert_file', 'client_key_file'],
]

/** Members of a server that are never inherited. */
const notInherited = new Set(['id', 'models', 'names', 'addresses', 'kubernetes'])

/** Reads `servers`. Invalid entries are added to the findings and skipped. */
export function readServers(root: Record<string, unknown>, findings: Findings): Servers {
  const { servers: entries = [] } = root
  if (!Array.isArray(entries)) {
    findings.errors.push(
      'servers: not a list of servers; this name is reserved, so rename the group of models',
    )
    return serversOf([], new Set())
  }
  const pathOf = new Map<string, string>()
  const list = entries.flatMap((value: unknown, index): ServerAtPath[] => {
    const path = `servers[${index}]`
    const id = isObject(value) && typeof value.id === 'string' ? value.id.trim() : ''
    const earlier = pathOf.get(id)
    if (id !== '') pathOf.set(id, earlier ?? path)
    const server = checkPart(ServerSchema, value, path, findings)
    if (!server) return []
    if (id === '') findings.errors.push(`${path}.id: "" is not a name for the server`)
    if (earlier !== undefined) {
      findings.errors.push(`${path}.id: ${JSON.stringify(id)} is also the id of ${earlier}`)
      return []
    }
    findings.errors.push(...conflicts(server, path))
    findings.warnings.push(...providerHints(server, path))
    return [{ id, path, server }]
  })
  return serversOf(list, new Set(pathOf.keys()))
}

function serversOf(list: readonly ServerAtPath[], ids: ReadonlySet<string>): Servers {
  const byId = new Map(list.map((server) => [server.id, server]))
  return {
    list,
    byId: (id) => byId.get(id),
    inheritMembers(provider, path, { errors }) {
      const id = provider.server?.trim() ?? ''
      const found = byId.get(id)
      if (found) return [inheriting(found, provider, path)]
      if (!ids.has(id)) {
        const known = ids.size === 0 ? 'there are none' : `known: ${[...ids].join(', ')}`
        errors.push(`${path}.server: no server ${JSON.stringify(id)}; ${known}${didYouMean(id, ids)}`)
      }
      return []
    },
  }
}

/** Converts a server to a provider, for reading its settings. */
export function asProvider(server: ServerAtPath): ProviderAtPath {
  return inheriting(server, {}, server.path)
}

/** Returns a provider with the members that it inherits from its server. */
export function inheriting(
  { id, path: serverPath, server }: ServerAtPath,
  entry: ServedProvider,
  path: string,
): ProviderAtPath {
  const replaced = exclusiveMembers.filter((group) => group.some((member) => member in entry)).flat()
  const overridden = new Set([...Object.keys(entry), ...replaced])
  const inherited = Object.entries(server).filter(
    ([member]) => !overridden.has(member) && !notInherited.has(member),
  )
  return {
    provider: {
      ...serviceHost(server),
      api_type: server.api_type,
      ...Object.fromEntries(inherited),
      ...entry,
    },
    path,
    server: { id, path: serverPath, overridden },
  }
}

/** Default `api_host` of a Service: its name in the cluster. */
function serviceHost({ kubernetes }: Server): { api_host?: string } {
  if (kubernetes === undefined) return {}
  return { api_host: `http://${kubernetes.service}.${kubernetes.namespace}.svc` }
}

/** Reports conflicts between members that only entries of `servers` have. */
function conflicts({ addresses, kubernetes, models, api_type: type }: Server, path: string): string[] {
  const follows = addresses ?? kubernetes ?? (models === '*' ? models : undefined)
  if (type.trim().toLowerCase() === 'mock' && follows !== undefined) {
    const member = addresses !== undefined ? 'addresses' : kubernetes !== undefined ? 'kubernetes' : 'models'
    const instead = member === 'models' ? '; list its models by name' : ''
    return [`${path}.${member}: a mock has no server to ask${instead}`]
  }
  if (addresses !== undefined && kubernetes !== undefined)
    return [`${path}.addresses: kubernetes is set too; remove one of the two`]
  return []
}
