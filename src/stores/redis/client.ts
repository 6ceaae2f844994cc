import { readFileSync } from 'node:fs'
import type { Cluster, Redis } from 'ioredis'
import { openConnection, type RedisAddress, type RedisConnection } from './connection.ts'

/** A Lua script of the leases; the head of its file describes keys and arguments. */
export type LeaseScript = 'acquire-lease' | 'renew-leases' | 'release-leases'

/** A connection for commands with a short timeout, with the Lua scripts that it can run. */
export interface ScriptLink<Step extends string> {
  readonly commands: RedisConnection
  run(step: Step, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown>
  close(): void
}

/** The connection of the leases with one for subscriptions, which are closed together. */
export interface RedisLink extends ScriptLink<LeaseScript> {
  readonly subscriber: RedisConnection
}

export interface ScriptLinkOptions {
  /** Command timeout, in milliseconds. */
  commandTimeoutMs?: number | undefined
  /**
   * In a cluster, all keys of this link are in the hash slot selected by this name. Absent: the keys of each script have a
   * common hash tag.
   */
  slot?: 'leases' | 'responses' | undefined
}

const commandTimeoutMs = 250

/** Opens a connection with Lua scripts. The head of each Lua file describes the keys and arguments of its step. */
export function connectScripts<Step extends string>(
  address: RedisAddress,
  scripts: readonly Step[],
  options: ScriptLinkOptions = {},
): ScriptLink<Step> {
  const commands = openConnection(address, { commandTimeoutMs, ...options })
  for (const step of scripts) commands.defineCommand(step, { lua: readLua(step) })
  return {
    commands,
    run: (step, keys, args) => runScript(commands, step, [keys.length, ...keys, ...args]),
    close: () => commands.disconnect(),
  }
}

/** Like {@link connectScripts}, with a connection for subscriptions, which is closed together with the other one. */
export function connectListening<Step extends string>(
  address: RedisAddress,
  scripts: readonly Step[],
  options: ScriptLinkOptions = {},
): ScriptLink<Step> & Pick<RedisLink, 'subscriber'> {
  const link = connectScripts(address, scripts, options)
  // A cluster client has a separate connection for subscriptions.
  if (link.commands.isCluster) return { ...link, subscriber: link.commands }
  const subscriber = openConnection(address, { commandTimeoutMs, ...options })
  return {
    ...link,
    subscriber,
    close() {
      link.close()
      subscriber.disconnect()
    },
  }
}

export function connectRedis(address: RedisAddress, timeoutMs = commandTimeoutMs): RedisLink {
  const steps: readonly LeaseScript[] = ['acquire-lease', 'renew-leases', 'release-leases']
  return connectListening(address, steps, { commandTimeoutMs: timeoutMs, slot: 'leases' })
}

function readLua(step: string): string {
  return readFileSync(new URL(`lua/${step}.lua`, import.meta.url), 'utf8')
}

/** Runs a script. ioredis adds defined commands to the connection as methods, which its types lack. */
async function runScript(
  redis: Redis | Cluster,
  step: string,
  args: readonly (string | number)[],
): Promise<unknown> {
  const command: unknown = Reflect.get(redis, step)
  if (typeof command !== 'function') throw new Error(`no command ${step}`)
  try {
    return await Reflect.apply(command, redis, args)
  } catch (error) {
    // A replica may have replaced a hung node, which cannot report that.
    if ('refreshSlotsCache' in redis) redis.refreshSlotsCache()
    throw error
  }
}
