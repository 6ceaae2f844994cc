import type { EngineSignals } from '../../src/sdk/engine-signals.ts'
import type { RoutingRequest, Strategy, StrategyInstance, TargetSignals } from '../../src/sdk/strategy.ts'
import type { Target } from '../../src/sdk/target.ts'
import { plainRequest, simulatedTarget } from '../strategies/simulated-server.ts'
import { Timeline } from '../strategies/timeline.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { type Answered, Engine, type EngineShape, type Job, keysOf } from './engine.ts'

/** A simulated server as a router sees it. */
export interface Server {
  readonly target: Target
  readonly engine: Engine
  isUp: boolean
  returnedAt: number
}

export interface Turn extends Job {
  /** The session that the client names; most name none. */
  session?: string
  /** For the oracle, which knows the conversation of each request. */
  conversation: number
}

export interface Served extends Answered {
  server: number
  conversation: number
  promptTokens: number
  at: number
}

/** Where a router sends a turn, with the state it keeps of its servers. */
interface Router {
  pick(turn: Turn): Server
  settled(turn: Turn, server: Server, answered: Answered): void
}

/** A fleet of simulated servers behind one or several routers, and the requests that they processed. */
export class Fleet {
  readonly timeline = new Timeline()
  readonly servers: Server[] = []
  readonly served: Served[] = []
  readonly #routers: readonly Router[]
  readonly #shape: EngineShape
  #turns = 0

  /** `policy`: a strategy, or the oracle that pins each conversation to one server. */
  constructor(
    policy: Strategy | 'pinned',
    { servers, routers = 1, shape }: { servers: number; routers?: number; shape: EngineShape },
    seed = 0,
  ) {
    this.#shape = shape
    for (let index = 0; index < servers; index++) this.add()
    this.#routers = Array.from({ length: routers }, (_, index) =>
      policy === 'pinned' ? this.#pinning() : new StrategyRouter(policy, this, seed * routers + index),
    )
  }

  add(): void {
    const target = simulatedTarget(`server${this.servers.length}`, 1)
    const engine = new Engine(this.#shape, this.timeline)
    this.servers.push({ target, engine, isUp: true, returnedAt: this.timeline.now() })
  }

  remove(index: number): void {
    const server = this.servers[index]
    if (server) server.isUp = false
  }

  restart(index: number): void {
    const server = this.servers[index]
    if (!server) return
    server.engine.restart()
    Object.assign(server, { isUp: true, returnedAt: this.timeline.now() })
  }

  /** Several routers receive requests in rotation. */
  serve(turn: Turn, done: () => void): void {
    const router = this.#routers[this.#turns++ % this.#routers.length]
    if (!router) throw new Error('a fleet has no router')
    const server = router.pick(turn)
    const at = this.timeline.now()
    const promptTokens = turn.prompt.reduce((sum, { tokens }) => sum + tokens, 0)
    server.engine.serve(turn, (answered) => {
      const { conversation } = turn
      this.served.push({ ...answered, server: this.servers.indexOf(server), conversation, promptTokens, at })
      router.settled(turn, server, answered)
      done()
    })
  }

  #pinning(): Router {
    const pick = ({ conversation }: Turn): Server => {
      const up = this.servers.filter(({ isUp }) => isUp)
      const server = up[conversation % up.length]
      if (!server) throw new Error('no server is up')
      return server
    }
    return { pick, settled: () => undefined }
  }
}

/** How often a router polls an engine. */
const pollMs = 2_000

/** The router's own strategy, with the state that the balancer would keep. */
class StrategyRouter implements Router {
  readonly #instance: StrategyInstance
  readonly #fleet: Fleet
  readonly #inFlight = new Map<Server, number>()
  readonly #polls = new Map<Server, { at: number; engine: EngineSignals }>()
  readonly #requests = new Map<Turn, RoutingRequest>()

  constructor(strategy: Strategy, fleet: Fleet, seed: number) {
    this.#fleet = fleet
    this.#instance = strategy.create({ now: () => fleet.timeline.now(), random: seededRandom(seed + 1) })
  }

  pick(turn: Turn): Server {
    const keys = keysOf(turn.prompt)
    const { session } = turn
    const request = plainRequest({ session, prefixKeys: keys, promptTokens: keys.at(-1)?.tokens ?? 0 })
    const signals = this.#fleet.servers.filter(({ isUp }) => isUp).map((server) => this.#signalsOf(server))
    const instance = this.#instance
    const picked = 'pick' in instance ? instance.pick(signals, request) : instance.order(signals, request)[0]
    const server = this.#fleet.servers.find(({ target }) => target === picked?.target)
    if (!server) throw new Error('a strategy picked what it was not offered')
    this.#inFlight.set(server, (this.#inFlight.get(server) ?? 0) + 1)
    this.#requests.set(turn, request)
    instance.taken?.(server.target, request)
    return server
  }

  settled(turn: Turn, server: Server, { ttftMs, cachedTokens }: Answered): void {
    const request = this.#requests.get(turn)
    if (!request) return
    this.#requests.delete(turn)
    this.#inFlight.set(server, (this.#inFlight.get(server) ?? 0) - 1)
    const usage = { promptTokens: request.promptTokens, completionTokens: turn.answer.tokens, cachedTokens }
    const outcome = { result: 'success', durationMs: ttftMs, firstContentMs: ttftMs, usage } as const
    this.#instance.settled?.(server.target, outcome, request)
  }

  #signalsOf(server: Server): TargetSignals {
    const { target, returnedAt } = server
    const inFlight = this.#inFlight.get(server) ?? 0
    const engine = this.#polled(server, inFlight)
    const averages = { firstContentMs: undefined, perTokenMs: undefined, failureRate: 0 }
    return { target, uses: 0, inFlight, ...averages, returnedAt, engine }
  }

  /** The engine's signals at the last poll. */
  #polled(server: Server, inFlight: number): EngineSignals {
    const now = this.#fleet.timeline.now()
    const known = this.#polls.get(server)
    if (known && now - known.at < pollMs) return known.engine
    const { running, waiting, startedAt, kvTokens } = server.engine
    const others = Math.max(0, running + waiting - inFlight)
    const engine = { running, waiting, others, startedAt, kvTokens }
    this.#polls.set(server, { at: now, engine })
    return engine
  }
}
