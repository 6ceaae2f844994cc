import { createHash } from 'node:crypto'
import type { FastifyBaseLogger } from 'fastify'
import type { HealthPeer, HealthPeers, ServerState } from '../../cluster/health.ts'
import { version } from '../../lib/version.ts'
import type { CheckedState, Target } from '../../sdk/target.ts'
import type { Transport } from '../../sdk/transport.ts'
import { type CheckOutcome, checkHealth } from './health-check.ts'
import { watchServer } from './server-watch.ts'

export interface ServerChecksOptions {
  peers: HealthPeers
  transportOf(target: Target): Transport
  intervalMs: number
  log: FastifyBaseLogger
  /** Called with the state of a target's server at each change, and for each new target of a server that is not up. */
  onState(target: Target, state: CheckedState): void
}

interface Server {
  key: string
  path: string
  targets: Set<Target>
  stop: (() => void) | undefined
  /** Monotonic milliseconds. */
  lastContentAt: number
  /** When this process last reported a first content to the leader, on the same clock. */
  reportedContentAt: number
  /** Whether the server has no sleep state to query, until it restarts. */
  cannotSleep: boolean
}

const timeoutMs = 2_000
/** Minimum interval between reports of first contents to the leader, while a server's checks fail, in milliseconds. */
const contentPauseMs = 250

/**
 * Health checks of the servers behind the targets. Only one process, the leader, checks, and each server once, however
 * many targets it has. The results reach all targets in every process.
 */
export class ServerChecks implements Pick<HealthPeer, 'setLeader' | 'learned' | 'answered'> {
  readonly #options: ServerChecksOptions
  readonly #servers = new Map<string, Server>()
  readonly #serverOf = new WeakMap<Target, Server>()
  /** Of the servers that are not up. */
  readonly #states = new Map<string, CheckedState>()
  #isLeader = false

  constructor(options: ServerChecksOptions) {
    this.#options = options
  }

  /** Replaces the set of targets. */
  setTargets(targets: readonly Target[]): void {
    const wanted = new Set(targets)
    // Add before removing, so that a server whose targets merely change keeps its state.
    for (const target of wanted) this.#add(target)
    for (const server of [...this.#servers.values()]) {
      for (const target of server.targets) if (!wanted.has(target)) this.#remove(server, target)
    }
  }

  setLeader(isLeader: boolean): void {
    this.#isLeader = isLeader
    for (const server of this.#servers.values()) {
      if (isLeader) this.#watch(server)
      else this.#unwatch(server)
    }
  }

  learned(key: string, state: ServerState): void {
    if (state === 'up' || state === 'gone') this.#states.delete(key)
    else this.#states.set(key, state)
    if (state === 'gone') return
    for (const target of this.#servers.get(key)?.targets ?? []) this.#options.onState(target, state)
  }

  answered(key: string): void {
    const server = this.#servers.get(key)
    if (server) server.lastContentAt = performance.now()
  }

  /** Call when a request of this process has received first content from the target. */
  contentFrom(target: Target): void {
    const server = this.#serverOf.get(target)
    if (!server) return
    const now = performance.now()
    server.lastContentAt = now
    if (this.#isLeader || !this.#states.has(server.key) || now - server.reportedContentAt < contentPauseMs)
      return
    server.reportedContentAt = now
    this.#options.peers.answered(server.key)
  }

  /** Call when these targets' servers have been woken, which their next checks would find. */
  woken(targets: readonly Target[]): void {
    const keys = new Set(targets.map((target) => this.#serverOf.get(target)?.key))
    for (const key of keys) if (key !== undefined) this.#options.peers.report(key, 'up')
  }

  /** Stops checking when the process ends. */
  stop(): void {
    this.setLeader(false)
    this.#options.peers.leave()
  }

  #add(target: Target): void {
    const { healthPath: path } = target
    if (path === undefined) return
    const key = serverKey(target, path)
    const server = this.#servers.get(key) ?? newServer(key, path)
    this.#servers.set(key, server)
    if (server.targets.has(target)) return
    server.targets.add(target)
    this.#serverOf.set(target, server)
    const state = this.#states.get(key)
    if (state) this.#options.onState(target, state)
    if (this.#isLeader) this.#watch(server)
  }

  #remove(server: Server, target: Target): void {
    server.targets.delete(target)
    this.#serverOf.delete(target)
    if (server.targets.size > 0) return
    server.stop?.()
    this.#servers.delete(server.key)
    if (this.#isLeader && this.#states.has(server.key)) this.#options.peers.report(server.key, 'gone')
  }

  #watch(server: Server): void {
    const { peers, intervalMs } = this.#options
    server.stop ??= watchServer({
      check: () => this.#check(server),
      state: this.#states.get(server.key) ?? 'up',
      intervalMs,
      random: Math.random,
      now: () => performance.now(),
      lastContentAt: () => server.lastContentAt,
      onChange: (state) => {
        this.#logChange(server, state)
        if (state !== 'up' && state !== 'degraded') server.cannotSleep = false
        peers.report(server.key, state)
      },
    })
  }

  /** Not logged: a change to `degraded`, or from `degraded` back to `up`. */
  #logChange({ key, targets }: Server, state: CheckedState): void {
    const before = this.#states.get(key)
    if (state === 'degraded' || (state === 'up' && before === 'degraded')) return
    const { log } = this.#options
    for (const { model, id } of targets)
      log.warn({ model, target: id, healthy: state === 'up', state }, 'health check')
  }

  #unwatch(server: Server): void {
    server.stop?.()
    server.stop = undefined
  }

  #check(server: Server): ReturnType<typeof checkHealth> {
    const { targets, path } = server
    const [target] = targets
    if (!target) throw new Error('cannot check a server without targets')
    const transport = this.#options.transportOf(target)
    const userAgent = `llm-router/${version}`
    const checksSleep = !server.cannotSleep
    const { result, stop } = checkHealth({ target, path, transport, timeoutMs, userAgent, checksSleep })
    return { result: result.then((outcome) => withSleepSupport(server, outcome)), stop }
  }
}

function withSleepSupport(server: Server, outcome: CheckOutcome): CheckOutcome {
  if (outcome.cannotSleep) server.cannotSleep = true
  // A different server may listen when the address accepts connections again.
  else if (outcome.result === 'refused') server.cannotSleep = false
  return outcome
}

function newServer(key: string, path: string): Server {
  return {
    key,
    path,
    targets: new Set(),
    stop: undefined,
    cannotSleep: false,
    lastContentAt: Number.NEGATIVE_INFINITY,
    reportedContentAt: Number.NEGATIVE_INFINITY,
  }
}

/**
 * Identifies a server, equally in every process with this configuration. Targets share checks only if every part of the
 * request is equal. A digest, because it includes a key.
 */
function serverKey({ origin, model, id, type, token, sleepPath, connection }: Target, path: string): string {
  // An embedded target is its own host.
  const host = origin || `${model}/${id}`
  return createHash('sha256')
    .update(JSON.stringify([host, path, sleepPath, type.authHeaders(token), connection]))
    .digest('base64url')
}
