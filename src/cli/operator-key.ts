import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { loadClientKeys } from '../config/client-keys/load.ts'
import { readBoolean } from '../config/settings/text.ts'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Generates an operator key, so that operator routes can be used at once by whoever sees the terminal. Returns undefined if an
 * operator key is configured, or if the router does not listen on loopback only.
 */
export function operatorKeyFor(env: Environment): string | undefined {
  const isSet = (env.LLM_ROUTER_ADMIN_KEY ?? '').trim() !== ''
  if (isSet || !isLoopback(env.LLM_ROUTER_SERVER_HOST ?? '') || hasOperator(env)) return undefined
  return `sk-operator-${randomBytes(24).toString('base64url')}`
}

function isLoopback(host: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|(?:::ffff:127(?:\.\d{1,3}){3})|::1)$/i.test(host.trim())
}

/** Whether the keys file contains an enabled operator key. Errors in the file are reported later during the start. */
function hasOperator(env: Environment): boolean {
  const { LLM_ROUTER_AUTH_ENABLED: enabled, LLM_ROUTER_AUTH_MEMORY_SEED_FILE: file } = env
  if (readBoolean(enabled ?? '') === false || !file) return false
  try {
    const name = file.trim()
    return loadClientKeys(readFileSync(name, 'utf8'), name, env).entries.some(
      ({ client: { enabled, surfaces } }) => enabled && surfaces.has('operator'),
    )
  } catch {
    return false
  }
}
