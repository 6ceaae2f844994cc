import { createHash } from 'node:crypto'
import type { FastifyBaseLogger } from 'fastify'
import type { HealthTeam, HealthTeamMember, ServerState } from '../../core/health-team.ts'
import type { Target } from '../../core/target.ts'
import type { Transport } from '../../core/transport.ts'
import { version } from '../../core/version.ts'
import type { Breaker } from '../../relay/breaker.ts'
import { checkHealth } from '../../relay/health-check.ts'
import { watchServer } from '../../relay/server-watch.ts'

export interface ServerChecksOptions {
  team: HealthTeam
  breakerOf(target: Target): Breaker
  transportOf(target: Target): Transport
  intervalMs: number
  log: FastifyBaseLogger
}

interface Server {
  key: string
  path: string
  targets: Set<Target>
  stop: (() => void) | undefined
}

const timeoutMs = 2_000

/**
 * The servers behind the targets, each asked once whatever number of targets it has, and by one process alone: the one
 * that the team has put on duty. What is found reaches the breakers of all targets, in every process.
 */
export class ServerChecks implements HealthTeamMember {
  readonly #options: ServerChecksOptions
  readonly #servers = new Map<string, Server>()
  readonly #down = new Set<string>()
  #onDuty = false

  constructor(options: ServerChecksOptions) {
    this.#options = options
  }

  /** These targets, and no others, are the ones to know about. */
  cover(targets: readonly Target[]): void {
    const wanted = new Set(targets)
    // First: what is known of a server stays where only its targets change.
    for (const target of wanted) this.#add(target)
    for (const server of [...this.#servers.values()]) {
      for (const target of server.targets) if (!wanted.has(target)) this.#remove(server, target)
    }
  }

  duty(on: boolean): void {
    this.#onDuty = on
    for (const server of this.#servers.values()) {
      if (on) this.#watch(server)
      else this.#unwatch(server)
    }
  }

  learned(key: string, state: ServerState): void {
    if (state === 'down') this.#down.add(key)
    else this.#down.delete(key)
    if (state === 'gone') return
    for (const target of this.#servers.get(key)?.targets ?? [])
      this.#options.breakerOf(target).checked(state === 'up')
  }

  /** The process ends. */
  stop(): void {
    this.duty(false)
    this.#options.team.leave()
  }

  #add(target: Target): void {
    const { healthPath: path } = target
    if (path === undefined) return
    const key = serverKey(target, path)
    const server = this.#servers.get(key) ?? { key, path, targets: new Set(), stop: undefined }
    this.#servers.set(key, server)
    if (server.targets.has(target)) return
    server.targets.add(target)
    if (this.#down.has(key)) this.#options.breakerOf(target).checked(false)
    if (this.#onDuty) this.#watch(server)
  }

  #remove(server: Server, target: Target): void {
    server.targets.delete(target)
    if (server.targets.size > 0) return
    server.stop?.()
    this.#servers.delete(server.key)
    if (this.#onDuty && this.#down.has(server.key)) this.#options.team.tell(server.key, 'gone')
  }

  #watch(server: Server): void {
    const { team, intervalMs, log } = this.#options
    server.stop ??= watchServer({
      ask: () => this.#ask(server),
      healthy: !this.#down.has(server.key),
      intervalMs,
      random: Math.random,
      onChange: (healthy) => {
        for (const { model, id } of server.targets) log.warn({ model, target: id, healthy }, 'health check')
        team.tell(server.key, healthy ? 'up' : 'down')
      },
    })
  }

  #unwatch(server: Server): void {
    server.stop?.()
    server.stop = undefined
  }

  #ask({ targets, path }: Server): ReturnType<typeof checkHealth> {
    const [target] = targets
    if (!target) throw new Error('a server without targets is checked')
    const transport = this.#options.transportOf(target)
    return checkHealth({ target, path, transport, timeoutMs, userAgent: `llm-router/${version}` })
  }
}

/**
 * Tells servers apart, alike in every process with this configuration: what differs in any part of the question may
 * differ in its answer. A digest, because a key is part of it.
 */
function serverKey({ origin, model, id, type, token, connection }: Target, path: string): string {
  // An embedded target is a host of its own.
  const host = origin || `${model}/${id}`
  return createHash('sha256')
    .update(JSON.stringify([host, path, type.authHeaders(token), connection]))
    .digest('base64url')
}
