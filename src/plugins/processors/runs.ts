import { describeBug } from '../../lib/describe-bug.ts'
import type { Exchange } from '../../relay/exchange.ts'
import type { Processed } from '../../relay/processed.ts'
import { asRouterError, RouterError } from '../../sdk/errors.ts'
import type { CompiledProcessor } from './compiled.ts'

export interface RunContext {
  readonly exchange: Exchange
  /** Aborts all runs; its reason is a RouterError. */
  readonly signal: AbortSignal
  warn(fields: Record<string, unknown>, message: string): void
}

/** A processor rejected the content. */
export class BlockedError extends Error {
  readonly processor: string

  constructor(processor: string) {
    super(`blocked by '${processor}'`)
    this.processor = processor
  }
}

/** Runs processors for one request: applies timeouts, records results, and handles failures. */
export class ProcessorRuns {
  readonly #context: RunContext

  constructor(context: RunContext) {
    this.#context = context
  }

  /** Rejects with the error of `run`, on timeout, and when the request ends. */
  async inTime<T>(
    { timeoutMs }: CompiledProcessor,
    run: (signal: AbortSignal) => Promise<T>,
    others?: AbortSignal,
  ): Promise<T> {
    const { exchange, signal } = this.#context
    // AbortSignal.timeout() would stay, with its error, until it fires: a stream has a run for each window.
    const late = new AbortController()
    const timer = setTimeout(
      () => late.abort(new DOMException('No result in time', 'TimeoutError')),
      timeoutMs,
    )
    const stop = AbortSignal.any([signal, late.signal, ...(others ? [others] : [])])
    const aborted = Promise.withResolvers<never>()
    aborted.promise.catch(() => undefined)
    const onAbort = (): void => aborted.reject(stop.reason)
    if (stop.aborted) onAbort()
    stop.addEventListener('abort', onAbort, { once: true })
    try {
      return await exchange.steps.awaitExternal(Promise.race([run(stop), aborted.promise]))
    } finally {
      clearTimeout(timer)
      stop.removeEventListener('abort', onAbort)
    }
  }

  /** Throws the client's error unless the processor fails open. */
  failed(
    { name, failure }: CompiledProcessor,
    thrown: unknown,
    record: (outcome: Processed['outcome']) => void,
    what: 'request' | 'response' = 'request',
  ): void {
    const { signal, warn } = this.#context
    if (signal.aborted) throw asRouterError(signal.reason)
    if (failure === 'open') {
      record('failed_open')
      warn({ processor: name, ...problemOf(thrown) }, `processor failed; the ${what} continues`)
      return
    }
    if (thrown instanceof RouterError) {
      record('refused')
      throw thrown
    }
    record('failed_closed')
    warn({ processor: name, ...problemOf(thrown) }, `processor failed; the ${what} is rejected`)
    throw new RouterError('overloaded', `The ${what} cannot be processed by '${name}' now`, {
      code: 'processor_failed',
      causeCode: 'PROCESSOR',
      retryAfterSeconds: 5,
      cause: thrown,
    })
  }

  record(step: Processed): void {
    const { exchange } = this.#context
    exchange.processed ??= { steps: [], restored: 0, unknown: 0 }
    exchange.processed.steps.push(step)
  }
}

/** Runs independent processors concurrently; the first that throws cancels the others. */
export async function runConcurrently<Item, Result>(
  items: readonly Item[],
  run: (item: Item, others: AbortSignal) => Promise<Result>,
): Promise<Result[]> {
  const others = new AbortController()
  try {
    return await Promise.all(items.map((item) => run(item, others.signal)))
  } catch (error) {
    others.abort()
    throw error
  }
}

/** Processors in order; adjacent ones that only judge are grouped. */
export function inGroups(processors: readonly CompiledProcessor[]): CompiledProcessor[][] {
  const groups: CompiledProcessor[][] = []
  for (const processor of processors) {
    const group = groups.at(-1)
    const isNeighbour = group?.every(onlyJudges) && onlyJudges(processor)
    if (group && isNeighbour) group.push(processor)
    else groups.push([processor])
  }
  return groups
}

function onlyJudges(processor: CompiledProcessor): boolean {
  return processor.type === 'own' && processor.onlyJudges
}

/** What the log says of a failure: a code if there is one, otherwise name and location. */
export function problemOf(thrown: unknown): { error_name: string; error_at?: string | undefined } {
  const hasCode = thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string'
  return hasCode ? { error_name: String(thrown.code) } : describeBug(thrown)
}
