import { loadConfig } from '../config/settings/settings.ts'
import { withoutTrailingSlashes } from '../lib/endpoint-paths.ts'
import { ConfigError } from '../sdk/errors.ts'
import type { Command, CommandContext } from './command-line.ts'

const timeoutMs = 3_000

/** `healthcheck [url]`: exit code 0 if the router responds, for container health checks. */
export const healthcheck: Command = async ([url], { env, print, printError }) => {
  if (url !== undefined && !isHttpUrl(url))
    throw new ConfigError([`${url} is not an http:// or https:// address`])
  const address = `${withoutTrailingSlashes(url ?? ownAddress(env))}/ping`
  try {
    const response = await fetch(address, { redirect: 'error', signal: AbortSignal.timeout(timeoutMs) })
    await response.body?.cancel()
    if (response.ok) {
      print('ok\n')
      return 0
    }
    printError(`${address} answers ${response.status}\n`)
  } catch {
    printError(`${address} does not answer\n`)
  }
  return 1
}

/** Returns the URL of the router at `--url`, or with these settings. Throws ConfigError for an invalid `--url`. */
export function routerAddress({ env, flags: { url } }: Pick<CommandContext, 'env' | 'flags'>): string {
  if (url !== undefined && !isHttpUrl(url))
    throw new ConfigError([`--url: ${url} is not an http:// or https:// address`])
  return withoutTrailingSlashes(url ?? ownAddress(env))
}

function isHttpUrl(text: string): boolean {
  return /^https?:$/.test(URL.parse(text)?.protocol ?? '')
}

/** Returns the local URL of the router with these settings. */
function ownAddress(env: Record<string, string | undefined>): string {
  const { serverHost: host, serverPort: port } = loadConfig(env).config
  if (['0.0.0.0', '::', ''].includes(host)) return `http://127.0.0.1:${port}`
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}
