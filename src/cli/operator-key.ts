import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { loadClientKeys } from '../config/client-keys-load.ts'
import { readBoolean } from '../config/settings-text.ts'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * An operator key for a start that only this machine can reach and that has none: what changes the router then works at
 * once, for who sees the terminal. Undefined where others could come in, or where a key is set.
 */
export function operatorKeyFor(env: Environment): string | undefined {
  const isSet = (env.LLM_ROUTER_ADMIN_KEY ?? '').trim() !== ''
  if (isSet || !isLoopback(env.LLM_ROUTER_SERVER_HOST ?? '') || hasOperator(env)) return undefined
  return `sk-operator-${randomBytes(24).toString('base64url')}`
}

/** What is said of it, once, on the terminal alone. */
export function operatorKeyText(key: string): string {
  return `operator key of this start: ${key}\n  what changes the router takes it; LLM_ROUTER_ADMIN_KEY sets one that stays\n`
}

function isLoopback(host: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|(?:::ffff:127(?:\.\d{1,3}){3})|::1)$/i.test(host.trim())
}

/** Whether the keys file has one that works. What is wrong with the file shows at the start. */
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
