import type { ProviderAtPath } from '../models/check.ts'
import type { FoundModel } from '../models/discovered.ts'
import { inheriting, type ServerAtPath } from './servers.ts'

/** A provider of a published model, and the endpoints of its server that have the model. */
export interface PublishedProvider {
  entry: ProviderAtPath
  endpoints: readonly ServerEndpoint[]
}

export interface PublishedModel {
  alias: string
  providers: PublishedProvider[]
  /** Details from the first server that provides any. */
  found: FoundModel | undefined
}

/** Returns the currently known endpoints of a server; none while its addresses are unknown. */
export function endpointsOf({ id, server }: ServerAtPath, fleet: FleetSnapshot): readonly ServerEndpoint[] {
  const known = fleet[id]
  if (server.addresses !== undefined || server.kubernetes !== undefined) return known ?? []
  return known?.slice(0, 1) ?? [{}]
}

/** Whether further models may appear at runtime. */
export function followsModels({ server }: ServerAtPath): boolean {
  return server.models === '*'
}

/** Returns the models that servers publish with `models`. Servers with a model of the same public name share it. */
export function publishedModels(servers: readonly ServerAtPath[], fleet: FleetSnapshot): PublishedModel[] {
  const models = new Map<string, PublishedModel>()
  for (const server of servers) {
    for (const [upstreamName, { endpoints, found }] of modelsAt(server, fleet)) {
      const alias = publicName(server, upstreamName)
      const model = models.get(alias) ?? { alias, providers: [], found: undefined }
      models.set(alias, model)
      model.found ??= found
      model.providers.push({ entry: providerAt(server, upstreamName, found), endpoints })
    }
  }
  return [...models.values()]
}

interface ServedModel {
  endpoints: ServerEndpoint[]
  found: FoundModel | undefined
}

/** Models of a server by their names there. */
function modelsAt(server: ServerAtPath, fleet: FleetSnapshot): Map<string, ServedModel> {
  const { models } = server.server
  const endpoints = endpointsOf(server, fleet)
  const served = new Map<string, ServedModel>()
  if (models === undefined) return served
  if (models !== '*') {
    for (const name of models.map((listed) => upstreamName(server, listed))) {
      const found = endpoints.flatMap((each) => each.models ?? []).find((each) => each.name === name)
      served.set(name, { endpoints: [...endpoints], found })
    }
    return served
  }
  for (const endpoint of endpoints) {
    for (const found of endpoint.models ?? []) {
      const model = served.get(found.name) ?? { endpoints: [], found }
      served.set(found.name, model)
      model.endpoints.push(endpoint)
    }
  }
  return served
}

function publicName({ server: { names = {} } }: ServerAtPath, upstream: string): string {
  return (Object.hasOwn(names, upstream) ? names[upstream]?.trim() : undefined) || upstream
}

/** Returns the name at the server of a listed model, which may be listed by its public name. */
function upstreamName({ server: { names = {} } }: ServerAtPath, name: string): string {
  if (Object.hasOwn(names, name)) return name
  return Object.entries(names).find(([, publicName]) => publicName === name)?.[0] ?? name
}

function providerAt(server: ServerAtPath, upstream: string, found: FoundModel | undefined): ProviderAtPath {
  return inheriting(
    server,
    {
      model_path: upstream,
      ...(found && found.context > 0 ? { input_size: found.context } : {}),
      ...(found?.embedding ? { is_embedding: true } : {}),
    },
    server.path,
  )
}

/** One address of a server, or the server itself if its addresses are not separate targets. */
export interface ServerEndpoint {
  /** Suffix of its target ids; absent if the server's addresses are not separate targets. */
  name?: string
  /** IP address to connect to, and the port if it differs from api_host. */
  address?: string
  port?: number
  /** The models that it lists; absent if it has not responded yet or is not asked. */
  models?: readonly FoundModel[]
}

/** State of discovered servers by id, as plain JSON. */
export type FleetSnapshot = Readonly<Record<string, readonly ServerEndpoint[]>>
