import { readFileSync } from 'node:fs'
import type { Cluster, Redis } from 'ioredis'
import { openConnection, type RedisAddress, type RedisConnection } from './connection.ts'

/** A lease step as a Lua file; see its head for keys and arguments. */
export type LeaseStep = 'acquire' | 'renew' | 'release'

/** A connection for commands that must answer soon or fail, with the Lua files that it can run. */
export interface ScriptLink<Step extends string> {
  readonly commands: RedisConnection
  run(step: Step, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown>
  close(): void
}

/** The connection of the leases, and one that listens; both are closed at once. */
export interface RedisLink extends ScriptLink<LeaseStep> {
  readonly subscriber: RedisConnection
}

export interface ScriptLinkOptions {
  /** How long a command may take, in milliseconds. */
  commandTimeoutMs?: number | undefined
  /**
   * In a cluster all keys of this link are in one hash slot, which this name selects. Absent: each script's keys have a hash
   * tag in common by themselves.
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

/** The same with a connection that listens; both are closed at once. */
export function connectListening<Step extends string>(
  address: RedisAddress,
  steps: readonly Step[],
  options: ScriptLinkOptions = {},
): ScriptLink<Step> & Pick<RedisLink, 'subscriber'> {
  const link = connectScripts(address, steps, options)
  // The client of a cluster has a connection of its own for subscriptions.
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

/** ioredis puts a defined command on the connection as a method, which its types do not know. */
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
    // A replica may have taken over from a node that hangs, which says nothing of it.
    if ('refreshSlotsCache' in redis) redis.refreshSlotsCache()
    throw error
  }
}
