import { loadConfig } from '../config/settings/settings.ts'
import { isObject, parseObject } from '../lib/json/read.ts'
import type { CommandContext } from './command-line.ts'
import { routerAddress } from './healthcheck.ts'

const timeoutMs = 10_000

/**
 * Sends a request to the running router with the operator key. Prints an error and returns undefined if it fails. Throws
 * ConfigError for an invalid `--url`.
 */
export async function askRouter(
  context: CommandContext,
  method: string,
  path: string,
  body?: object,
): Promise<Record<string, unknown> | undefined> {
  const { env, printError } = context
  const { adminKey, endpointPrefix } = loadConfig(env).config
  const url = `${routerAddress(context)}${endpointPrefix}${path}`
  try {
    const response = await fetch(url, {
      method,
      redirect: 'error',
      headers: {
        ...(adminKey === '' ? {} : { authorization: `Bearer ${adminKey}` }),
        ...(body ? { 'content-type': 'application/json' } : {}),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
      signal: AbortSignal.timeout(timeoutMs),
    })
    const answer = parseObject(await response.text())
    if (response.ok && answer) return answer
    const message = errorMessageIn(answer) ?? `${url} answers ${response.status}`
    printError(`${message.replace('?force=true', '--force')}\n`)
    if (response.status === 401 || response.status === 403)
      printError('set LLM_ROUTER_ADMIN_KEY to an operator key of that router\n')
  } catch {
    printError(`${url} does not answer\n`)
  }
  return undefined
}

/** Returns the message of an error response of a router; undefined if it has none. */
export function errorMessageIn(answer: Record<string, unknown> | undefined): string | undefined {
  const error = answer?.error
  const message = isObject(error) ? error.message : error
  return typeof message === 'string' ? message : undefined
}
