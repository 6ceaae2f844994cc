import type { Timeline } from '../strategies/timeline.ts'

export interface EngineShape {
  /** Capacity of the KV cache in prompt tokens. */
  kvTokens: number
  /** Maximum number of running requests; others wait. */
  slots: number
  /** Prompt tokens computed per second, over all requests. */
  prefillPerSecond: number
  /** Milliseconds for one generated token while nothing else runs. */
  tokenMs: number
  /** Additional time for each other running request. */
  slowdown: number
}

/** One turn's prompt: consecutive parts; equal ids mean equal text. */
export interface Part {
  id: number
  tokens: number
}

export interface Job {
  prompt: readonly Part[]
  answer: Part
}

export interface Answered {
  ttftMs: number
  cachedTokens: number
}

const blockTokens = 16

/**
 * A simulated vLLM on a virtual clock: a prefix cache of blocks with LRU eviction, a queue before a fixed number of slots,
 * prompts computed one after the other, and generation that slows down with the number of running requests.
 */
export class Engine {
  readonly #shape: EngineShape
  readonly #timeline: Timeline
  /** Blocks by their chained key, least recently used first. */
  readonly #blocks = new Set<number>()
  readonly #queue: (() => void)[] = []
  #prefillFreeAt = 0
  #queries = 0
  #hits = 0
  running = 0
  startedAt: number

  constructor(shape: EngineShape, timeline: Timeline) {
    this.#shape = shape
    this.#timeline = timeline
    this.startedAt = timeline.now()
  }

  get kvTokens(): number {
    return this.#shape.kvTokens
  }

  get waiting(): number {
    return this.#queue.length
  }

  serve(job: Job, done: (answered: Answered) => void): void {
    const arrivedAt = this.#timeline.now()
    const start = (): void => {
      this.running++
      const { cachedTokens, tokens } = this.#lookUp(job.prompt)
      const { prefillPerSecond, tokenMs, slowdown } = this.#shape
      const now = this.#timeline.now()
      const prefillMs = ((tokens - cachedTokens) / prefillPerSecond) * 1_000
      this.#prefillFreeAt = Math.max(now, this.#prefillFreeAt) + prefillMs
      const firstMs = this.#prefillFreeAt - now + tokenMs * this.#slowness(slowdown)
      this.#timeline.after(firstMs, () => {
        const ttftMs = this.#timeline.now() - arrivedAt
        const decodeMs = job.answer.tokens * tokenMs * this.#slowness(slowdown)
        this.#timeline.after(decodeMs, () => {
          this.#store([...job.prompt, job.answer])
          this.running--
          this.#queue.shift()?.()
          done({ ttftMs, cachedTokens })
        })
      })
    }
    if (this.running < this.#shape.slots) start()
    else this.#queue.push(start)
  }

  restart(): void {
    this.#blocks.clear()
    this.startedAt = this.#timeline.now()
  }

  /** The response to `GET /metrics`. */
  metrics(): string {
    const { kvTokens } = this.#shape
    return [
      `vllm:num_requests_running{engine="0"} ${this.running}`,
      `vllm:num_requests_waiting{engine="0"} ${this.waiting}`,
      `vllm:prefix_cache_queries_total{engine="0"} ${this.#queries}`,
      `vllm:prefix_cache_hits_total{engine="0"} ${this.#hits}`,
      `vllm:cache_config_info{block_size="${blockTokens}",num_gpu_blocks="${Math.floor(kvTokens / blockTokens)}"} 1`,
    ].join('\n')
  }

  #slowness(slowdown: number): number {
    return 1 + slowdown * Math.max(0, this.running - 1)
  }

  /** Full blocks of the beginning that are cached; the whole prompt is stored, because its blocks are in use from now on. */
  #lookUp(prompt: readonly Part[]): { cachedTokens: number; tokens: number } {
    const blocks = blocksOf(prompt)
    let hits = 0
    while (hits < blocks.length && this.#blocks.has(blocks[hits] ?? 0)) hits++
    const tokens = prompt.reduce((sum, part) => sum + part.tokens, 0)
    this.#queries += tokens
    this.#hits += hits * blockTokens
    this.#store(prompt)
    return { cachedTokens: hits * blockTokens, tokens }
  }

  #store(parts: readonly Part[]): void {
    const blocks = blocksOf(parts)
    for (const block of blocks.toReversed()) {
      this.#blocks.delete(block)
      this.#blocks.add(block)
    }
    const most = this.#shape.kvTokens / blockTokens
    for (const block of this.#blocks) {
      if (this.#blocks.size <= most) break
      this.#blocks.delete(block)
    }
  }
}

/** Chained keys of the full blocks of a text. */
function blocksOf(parts: readonly Part[]): number[] {
  const blocks: number[] = []
  let chain = 17
  let open = 0
  for (const { id, tokens } of parts) {
    for (let left = tokens, at = 0; left > 0; ) {
      const taken = Math.min(left, blockTokens - open)
      chain = chained(chained(chain, id), at)
      open += taken
      at += taken
      left -= taken
      if (open < blockTokens) continue
      blocks.push(chain)
      open = 0
    }
  }
  return blocks
}

/** Keys of a prompt as the router computes them: one at the end of each part, and one for each 1,024 tokens within it. */
export function keysOf(parts: readonly Part[]): { key: number; tokens: number }[] {
  const keys: { key: number; tokens: number }[] = []
  let chain = 29
  let sum = 0
  for (const { id, tokens } of parts) {
    for (let at = 1_024; at < tokens; at += 1_024)
      keys.push({ key: chained(chained(chain, id), at), tokens: sum + at })
    sum += tokens
    chain = chained(chain, id)
    keys.push({ key: chain, tokens: sum })
  }
  return keys
}

function chained(chain: number, value: number): number {
  const low = Math.imul(chain ^ (value + 0x7f4a7c15), 0x9e3779b1) ^ (chain >>> 15)
  const high = Math.imul((chain / 0x100000000) ^ value, 0x85ebca6b)
  return ((high >>> 0) % 0x200000) * 0x100000000 + (low >>> 0)
}
