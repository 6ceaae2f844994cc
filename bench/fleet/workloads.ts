import { seededRandom } from '../support/seeded-random.ts'
import type { EngineShape, Part } from './engine.ts'
import type { Fleet, Turn } from './fleet.ts'

export interface Workload {
  name: string
  servers: number
  routers?: number
  shape: EngineShape
  /** Whether an oracle would pin each conversation to one server. */
  hasOracle: boolean
  /** The bound of `cache_aware`, as the highest ratio. */
  bounded: { toPinned?: number; toLeastBusy?: number; busiest?: number }
  addedAtMs?: number
  /** Starts the clients; the fleet's clock runs until all have finished. */
  run(fleet: Fleet, seed: number): void
}

export const shape: EngineShape = {
  kvTokens: 40_000,
  slots: 16,
  prefillPerSecond: 4_000,
  tokenMs: 10,
  slowdown: 0.1,
}

interface ConversationPlan {
  conversation: number
  turns: number
  beginning: readonly Part[]
  /** Tokens that the client adds in each turn, and tokens of the response. */
  turnTokens: number
  answerTokens: number
  pauseMs: number
  session?: string
}

/** Ids of parts, so that no two texts are equal by accident; each seed has its own ids, which hash to other servers. */
class Texts {
  #last: number

  constructor(seed: number) {
    this.#last = seed * 1_000_000
  }

  part(tokens: number): Part {
    return { id: ++this.#last, tokens: Math.max(1, Math.round(tokens)) }
  }
}

function converse(
  fleet: Fleet,
  texts: Texts,
  random: () => number,
  plan: ConversationPlan,
  end?: () => void,
): void {
  const { turns, turnTokens, answerTokens, pauseMs, conversation, session } = plan
  let prompt: readonly Part[] = plan.beginning
  const turn = (left: number): void => {
    if (left === 0) {
      end?.()
      return
    }
    prompt = [...prompt, texts.part(varied(turnTokens, random))]
    const answer = texts.part(varied(answerTokens, random))
    const asked: Turn = { prompt, answer, conversation, ...(session === undefined ? {} : { session }) }
    fleet.serve(asked, () => {
      prompt = [...prompt, answer]
      fleet.timeline.after(-Math.log(1 - random()) * pauseMs, () => turn(left - 1))
    })
  }
  turn(turns)
}

function varied(mean: number, random: () => number): number {
  return mean * (0.5 + random())
}

/** 64 concurrent conversations, 320 in total, over eight servers whose caches hold eight of them each. */
function conversations(fleet: Fleet, seed: number): void {
  const texts = new Texts(seed)
  const random = seededRandom(7 + seed)
  const system = texts.part(300)
  let begun = 0
  const next = (): void => {
    if (begun === 320) return
    const conversation = begun++
    const beginning = [system, texts.part(varied(2_000, random))]
    const plan = { conversation, turns: 5, beginning, turnTokens: 200, answerTokens: 200, pauseMs: 4_000 }
    converse(fleet, texts, random, plan, next)
  }
  for (let client = 0; client < 64; client++) fleet.timeline.after(random() * 4_000, next)
}

/** Ten tenants with a long system prompt each; one of them sends half of all requests. */
function hotTenant(fleet: Fleet, seed: number): void {
  const texts = new Texts(seed)
  const random = seededRandom(11 + seed)
  const systems = Array.from({ length: 10 }, () => texts.part(3_000))
  let at = 0
  for (let request = 0; request < 3_000; request++) {
    at += -Math.log(1 - random()) * 55
    const tenant = random() < 0.5 ? 0 : 1 + Math.floor(random() * 9)
    const system = systems[tenant]
    if (!system) continue
    const question = texts.part(varied(200, random))
    const answer = texts.part(varied(150, random))
    fleet.timeline.after(at, () => {
      fleet.serve({ prompt: [system, question], answer, conversation: tenant }, () => undefined)
    })
  }
}

/** 24 agents with the same system prompt and tools, whose contexts grow by tool results in quick turns. */
function agents(fleet: Fleet, seed: number): void {
  const texts = new Texts(seed)
  const random = seededRandom(13 + seed)
  const tools = texts.part(6_000)
  for (let agent = 0; agent < 24; agent++) {
    const beginning = [tools, texts.part(varied(1_000, random))]
    const plan = {
      conversation: agent,
      turns: 25,
      beginning,
      turnTokens: 900,
      answerTokens: 150,
      pauseMs: 1_500,
    }
    fleet.timeline.after(random() * 20_000, () => converse(fleet, texts, random, plan))
  }
}

const bigShape: EngineShape = { ...shape, kvTokens: 160_000 }

const eight = { servers: 8, shape, hasOracle: true, bounded: { toPinned: 1.1, toLeastBusy: 0.4 } }
const changeAtMs = 30_000

export const workloads: readonly Workload[] = [
  { ...eight, name: 'conversations', run: conversations },
  {
    name: 'hot tenant',
    servers: 8,
    shape,
    hasOracle: false,
    run: hotTenant,
    bounded: { toLeastBusy: 0.6, busiest: 1.6 },
  },
  {
    name: 'agents',
    servers: 4,
    shape: bigShape,
    hasOracle: true,
    run: agents,
    bounded: { toLeastBusy: 0.4 },
  },
  {
    ...eight,
    name: 'conversations, two routers',
    routers: 2,
    run: conversations,
    bounded: { toLeastBusy: 0.4 },
  },
  {
    name: 'hot tenant, two routers',
    servers: 8,
    routers: 2,
    shape,
    hasOracle: false,
    run: hotTenant,
    bounded: { toLeastBusy: 0.6, busiest: 1.6 },
  },
  {
    ...eight,
    name: 'server added',
    servers: 7,
    addedAtMs: changeAtMs,
    run(fleet, seed) {
      conversations(fleet, seed)
      fleet.timeline.after(changeAtMs, () => fleet.add())
    },
  },
  {
    ...eight,
    name: 'server removed',
    run(fleet, seed) {
      conversations(fleet, seed)
      fleet.timeline.after(changeAtMs, () => fleet.remove(3))
    },
  },
  {
    ...eight,
    name: 'server restarted',
    run(fleet, seed) {
      conversations(fleet, seed)
      fleet.timeline.after(changeAtMs, () => fleet.remove(3))
      fleet.timeline.after(changeAtMs + 10_000, () => fleet.restart(3))
    },
  },
]
