import { writeFileSync } from 'node:fs'
import { configForServers } from '../config/models/discovered.ts'
import { proxyRule } from '../config/proxy-rule.ts'
import { loadConfig } from '../config/settings/settings.ts'
import { isHost, discover as search } from '../fleet/discovery.ts'
import { ConfigError } from '../sdk/errors.ts'
import type { Command, CommandContext } from './command-line.ts'

/** Time limit for a search: a host that is down does not refuse connections. */
const timeoutMs = 3_000

/** `discover [hosts]`: prints a models-config.json for the model servers found. */
export const discover: Command = async (hosts, context) => {
  const found = await searchHosts(hosts, context)
  if (!found) return 1
  context.print(textOf(found))
  return 0
}

/** `init [file]`: writes the result of `discover` to a new file; with only the embedded model if no server is found. */
export const init: Command = async ([file = 'models-config.json', ...hosts], context) => {
  const { printError, program } = context
  const found = await searchHosts(hosts, context)
  try {
    writeFileSync(file, textOf(found ?? demo), { flag: 'wx' })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'failed'
    printError(
      code === 'EEXIST' ? `${file} already exists and was not changed\n` : `cannot write ${file} (${code})\n`,
    )
    return 1
  }
  printError(`wrote ${file}${found ? '' : ', with only the embedded model "demo"'}\n`)
  printError(`start with: ${program} --config ${file}\n`)
  return 0
}

const demo = {
  local_models: { demo: { providers: [{ id: 'demo-mock', api_type: 'mock', input_size: 32768 }] } },
  active_models: { local_models: ['demo'] },
}

async function searchHosts(
  hosts: readonly string[],
  { env, printError }: CommandContext,
): Promise<Record<string, unknown> | undefined> {
  const searchedHosts = hosts.length > 0 ? hosts : ['127.0.0.1']
  const invalid = searchedHosts.filter((host) => !isHost(host))
  if (invalid.length > 0)
    throw new ConfigError(
      invalid.map(
        (host) => `${host}: not a hostname, an address, or an http:// or https:// URL without a user name`,
      ),
    )
  const connectErrors = new Map<string, string>()
  const { servers, hostsWithoutServer } = await search(searchedHosts, AbortSignal.timeout(timeoutMs), {
    proxyOf: proxyRule(loadConfig(env).config),
    onConnectError: (url, { message }) => connectErrors.set(url, message),
  })
  for (const [url, connectError] of connectErrors) printError(`${url}: no connection: ${connectError}\n`)
  for (const { type, url, models } of servers) {
    printError(`${url}: ${type}, ${models.map(({ name }) => name).join(', ') || 'without models'}\n`)
  }
  for (const host of hostsWithoutServer)
    printError(
      `${host}: no Ollama, LM Studio, vLLM, SGLang, TGI, llama.cpp or other OpenAI-compatible server found\n`,
    )
  return servers.some(({ models }) => models.length > 0) ? configForServers(servers) : undefined
}

function textOf(config: unknown): string {
  return `${JSON.stringify(config, null, 2)}\n`
}
