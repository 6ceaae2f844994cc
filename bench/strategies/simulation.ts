import type { RoutingRequest, Strategy, StrategyInstance } from '../../src/sdk/strategy.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { plainRequest, SimulatedServer, type SimulatedServerPlan, type Work } from './simulated-server.ts'
import { Timeline } from './timeline.ts'

export interface Scenario {
  name: string
  servers: readonly SimulatedServerPlan[]
}

export interface Conditions {
  /** Requests that an engine processes concurrently; the others wait in its queue. */
  slots: number
  /** Load as a share of the total capacity of all working engines. */
  load: number
  /** Requests arrive for this long; those that arrive from `measureFromMs` on are counted. */
  lastsMs: number
  measureFromMs: number
  /** Number of repetitions with other arrivals, for results that do not depend on one seed. */
  rounds: number
}

export interface Report {
  /** From arrival to the end of the response, including failed attempts at other targets. */
  p50Ms: number
  p99Ms: number
  /**
   * Percentage points between a target's share of all attempts and its share of the total speed of working targets: for the
   * target with the largest difference.
   */
  worstShare: number
  /** Requests that no target answered. */
  unanswered: number
  tries: readonly number[]
}

const firstContentMs = 200
const tokenMs = 10
const meanTokens = 100
const maxTries = 3

/** Runs requests through a strategy on a virtual clock; the same arguments give the same report. */
export function simulate(strategy: Strategy, scenario: Scenario, conditions: Conditions): Report {
  const durations: number[] = []
  const tries = scenario.servers.map(() => 0)
  let unanswered = 0
  for (let round = 0; round < conditions.rounds; round++) {
    const outcome = new Round(strategy, scenario, conditions, round + 1).run()
    durations.push(...outcome.durations)
    outcome.tries.forEach((count, index) => {
      tries[index] = (tries[index] ?? 0) + count
    })
    unanswered += outcome.unanswered
  }
  durations.sort((a, b) => a - b)
  return {
    p50Ms: durations[Math.floor(durations.length * 0.5)] ?? 0,
    p99Ms: durations[Math.floor(durations.length * 0.99)] ?? 0,
    worstShare: worstShare(tries, scenario.servers.map(speedOf)),
    unanswered,
    tries,
  }
}

interface Request {
  arrivedAt: number
  /** The target as the strategy sees it. */
  seen: RoutingRequest
  isCounted: boolean
  work: Work
  tried: Set<SimulatedServer>
}

/** One run with one strategy, from the first arrival until the last request has ended. */
class Round {
  readonly durations: number[] = []
  readonly tries: number[]
  unanswered = 0
  readonly #timeline = new Timeline()
  readonly #random: () => number
  readonly #conditions: Conditions
  readonly #servers: readonly SimulatedServer[]
  readonly #instance: StrategyInstance
  readonly #meanGapMs: number
  #queue: Request[] = []

  constructor(strategy: Strategy, { servers: plans }: Scenario, conditions: Conditions, seed: number) {
    const { slots, load } = conditions
    const timeline = this.#timeline
    this.#random = seededRandom(seed)
    this.#conditions = conditions
    this.#servers = plans.map((plan, index) => new SimulatedServer(`server${index}`, plan, timeline, slots))
    this.#instance = strategy.create({ now: () => timeline.now(), random: seededRandom(seed + 1_000) })
    const requestsAtATime = slots * plans.reduce((sum, plan) => sum + speedOf(plan), 0)
    this.#meanGapMs = (firstContentMs + meanTokens * tokenMs) / (requestsAtATime * load)
    this.tries = plans.map(() => 0)
  }

  run(): this {
    this.#arrive()
    this.#timeline.run()
    return this
  }

  #arrive(): void {
    const { lastsMs, measureFromMs } = this.#conditions
    const arrivedAt = this.#timeline.now()
    if (arrivedAt >= lastsMs) return
    const tokens = 1 + exponential(meanTokens - 1, this.#random)
    const work = { firstContentMs, tokensMs: tokens * tokenMs, tokens }
    this.#serve({
      seen: plainRequest(),
      arrivedAt,
      isCounted: arrivedAt >= measureFromMs,
      work,
      tried: new Set(),
    })
    this.#timeline.after(exponential(this.#meanGapMs, this.#random), () => this.#arrive())
  }

  #serve(request: Request): void {
    const untried = this.#servers.filter((server) => server.isUp() && !request.tried.has(server))
    if (untried.length === 0 || request.tried.size >= maxTries) {
      if (request.isCounted) this.unanswered++
      return
    }
    const server = choose(this.#instance, untried, request.seen)
    if (!server) {
      this.#queue.push(request)
      return
    }
    request.tried.add(server)
    this.#instance.taken?.(server.target, request.seen)
    const index = this.#servers.indexOf(server)
    if (request.isCounted) this.tries[index] = (this.tries[index] ?? 0) + 1
    const takenAt = this.#timeline.now()
    server.serve(request.work, (firstContent) => this.#settle(request, server, takenAt, firstContent))
  }

  #settle(
    request: Request,
    server: SimulatedServer,
    takenAt: number,
    firstContent: number | undefined,
  ): void {
    const now = this.#timeline.now()
    const result = firstContent === undefined ? 'failure' : 'success'
    const outcome = { result, durationMs: now - takenAt, firstContentMs: firstContent } as const
    this.#instance.settled?.(server.target, outcome, request.seen)
    if (result === 'failure') this.#serve(request)
    else if (request.isCounted) this.durations.push(now - request.arrivedAt)
    const waiting = this.#queue
    this.#queue = []
    for (const next of waiting) this.#serve(next)
  }
}

/** Undefined if the strategy leases targets exclusively and none is free. */
function choose(
  instance: StrategyInstance,
  untried: readonly SimulatedServer[],
  request: RoutingRequest,
): SimulatedServer | undefined {
  const chosen =
    'pick' in instance
      ? instance.pick(untried, request)
      : instance.order(
          untried.filter(({ inFlight }) => inFlight === 0),
          request,
        )[0]
  return untried.find((server) => server === chosen)
}

function speedOf({ speed = 1, fails = false }: SimulatedServerPlan): number {
  return fails ? 0 : speed
}

function worstShare(tries: readonly number[], speeds: readonly number[]): number {
  const allTries = tries.reduce((sum, count) => sum + count, 0)
  const allSpeed = speeds.reduce((sum, speed) => sum + speed, 0)
  return Math.max(
    ...tries.map((count, index) => Math.abs(count / allTries - (speeds[index] ?? 0) / allSpeed) * 100),
  )
}

function exponential(mean: number, random: () => number): number {
  return -Math.log(1 - random()) * mean
}
