import { didYouMean } from '../../lib/did-you-mean.ts'
import type { ProviderType } from '../../sdk/provider.ts'
import type { Registry } from '../../sdk/registry.ts'
import type { Strategy } from '../../sdk/strategy.ts'
import type { Connection } from '../../sdk/transport.ts'
import type { Syntax } from '../config-text.ts'
import { type Findings, memberPath, type ProviderAtPath } from '../models/check.ts'
import { expandVariables, readToken } from '../secrets.ts'
import { asProvider, type ServerAtPath } from '../servers/servers.ts'
import { type ConnectionSources, readConnection } from './target-connection.ts'
import { hostError } from './target-url.ts'

export interface TargetSources extends ConnectionSources {
  providers: Registry<ProviderType>
  /** Absent: strategy names are not checked. */
  strategies?: Pick<Registry<Strategy>, 'find' | 'names'>
  /** Syntax of the file; absent: JSON. */
  syntax?: Syntax
}

/** How a server is reached. */
export interface ServerAccess {
  type: ProviderType | undefined
  host: string | undefined
  token: string | undefined
  connection: Connection | undefined
}

export function readAccess(entry: ProviderAtPath, sources: TargetSources, findings: Findings): ServerAccess {
  const type = findType(entry, sources.providers, findings)
  const host = readHost(entry, type, sources, findings.errors)
  const token = readToken(entry, sources, findings.errors)
  const connection =
    host === undefined ? undefined : readConnection(entry, new URL(host).origin, sources, findings)
  return { type, host, token, connection }
}

/** Reads how a server is reached; reports its errors even if no provider refers to it. */
export function readServer(server: ServerAtPath, sources: TargetSources, findings: Findings): ServerAccess {
  return readAccess(asProvider(server), sources, findings)
}

function findType(
  entry: ProviderAtPath,
  known: Registry<ProviderType>,
  findings: Findings,
): ProviderType | undefined {
  const name = entry.provider.api_type.trim()
  const type = known.find(name) ?? known.find(normalizedTypeName(name))
  if (!type)
    findings.errors.push(
      `${memberPath(entry, 'api_type')}: ${JSON.stringify(name)} is unknown; known: ${known.names().join(', ')}${didYouMean(name.toLowerCase(), known.names())}`,
    )
  return type
}

/** Normalizes common spellings of the types, such as `llama.cpp` and `LM Studio`. */
function normalizedTypeName(name: string): string {
  const plain = name.toLowerCase().replaceAll(/[-_. ]/g, '')
  return typeSynonyms[plain] ?? plain
}

const typeSynonyms: Readonly<Record<string, string>> = {
  llamaserver: 'llamacpp',
  openaicompatible: 'openai',
  openailike: 'openai',
  textgenerationinference: 'tgi',
  claude: 'anthropic',
  google: 'gemini',
}

function readHost(
  entry: ProviderAtPath,
  type: ProviderType | undefined,
  { env, allowLinkLocal }: TargetSources,
  errors: string[],
): string | undefined {
  const { provider } = entry
  const hostPath = memberPath(entry, 'api_host')
  const configured = provider.api_host?.trim() ?? ''
  if (configured === '') {
    if (type?.defaultHost !== undefined) return type.defaultHost
    if (type?.needsHost)
      errors.push(`${hostPath}: missing; ${provider.api_type} needs the address of its server`)
    return undefined
  }
  const errorsBefore = errors.length
  const host = expandVariables(configured, hostPath, env, errors).trim()
  if (errors.length > errorsBefore) return undefined
  const error = hostError(host, allowLinkLocal)
  if (error !== undefined) errors.push(`${hostPath}: ${error}`)
  return error === undefined ? host : undefined
}
