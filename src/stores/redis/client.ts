import { readFileSync } from 'node:fs'
import type { Cluster, Redis } from 'ioredis'
import { openConnection, type RedisAddress, type RedisConnection } from './connection.ts'

/** A lease step as a Lua file; see its head for keys and arguments. */
export type LeaseStep = 'acquire' | 'renew' | 'release'

/** A connection for commands with a short timeout, with the Lua scripts that it can run. */
export interface ScriptLink<Step extends string> {
  readonly commands: RedisConnection
  run(step: Step, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown>
  close(): void
}

/** The connection of the leases, and one for subscriptions; both are closed together. */
export interface RedisLink extends ScriptLink<LeaseStep> {
  readonly subscriber: RedisConnection
}

export interface ScriptLinkOptions {
  /** Command timeout, in milliseconds. */
  commandTimeoutMs?: number | undefined
  /**
   * In a cluster, all keys of this link are in the hash slot selected by this name. Absent: each script's keys have a common hash
   * tag.
   */
  slot?: 'leases' | 'responses' | undefined
}

const commandTimeoutMs = 250

/** Source of the keys and arguments of a step: the head of its Lua file. */
export function connectScripts<Step extends string>(
  address: RedisAddress,
  steps: readonly Step[],
  options: ScriptLinkOptions = {},
): ScriptLink<Step> {
  const commands = openConnection(address, { commandTimeoutMs, ...options })
  for (const step of steps) commands.defineCommand(step, { lua: luaOf(step) })
  return {
    commands,
    run: (step, keys, args) => runScript(commands, step, [keys.length, ...keys, ...args]),
    close: () => commands.disconnect(),
  }
}

/** The same with a connection for subscriptions; both are closed together. */
export function connectListening<Step extends string>(
  address: RedisAddress,
  steps: readonly Step[],
  options: ScriptLinkOptions = {},
): ScriptLink<Step> & Pick<RedisLink, 'subscriber'> {
  const link = connectScripts(address, steps, options)
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
  const steps: readonly LeaseStep[] = ['acquire', 'renew', 'release']
  return connectListening(address, steps, { commandTimeoutMs: timeoutMs, slot: 'leases' })
}

function luaOf(step: string): string {
  return readFileSync(new URL(`lua/${step}.lua`, import.meta.url), 'utf8')
}

/** ioredis adds a defined command to the connection as a method, which is missing in its types. */
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
    // A replica may have replaced a hanging node, which does not report that.
    if ('refreshSlotsCache' in redis) redis.refreshSlotsCache()
    throw error
  }
}
