import { RouterError } from '../../sdk/errors.ts'

export interface TextOutcome {
  /** Place among the texts, from 0. */
  index: number
  /** `null` for a text that failed. */
  result: unknown
  error: RouterError | undefined
}

export interface EachTextOptions {
  texts: readonly string[]
  /** Texts asked about at once. */
  limit: number
  /** Whether a failed text leaves the others alone. */
  partial: boolean
  /** Ends all of them. */
  signal: AbortSignal
  /** Rejects when `signal` is aborted. */
  ask(text: string, signal: AbortSignal): Promise<unknown>
}

/**
 * Asks about several texts side by side and gives the outcomes in the order of the texts, each as soon as those before
 * it are there. The first failure cancels the others and is thrown, with the text's place. It returns or throws when no
 * call is under way any more, also where the reader stops early.
 */
export async function* eachText(options: EachTextOptions): AsyncGenerator<TextOutcome, void, undefined> {
  const { texts, limit, signal } = options
  const controller = new AbortController()
  const stop = AbortSignal.any([signal, controller.signal])
  const outcomes = texts.map(() => Promise.withResolvers<TextOutcome>())
  const failure = Promise.withResolvers<never>()
  // It is raced below; where nothing waits for it any more, it is of no interest.
  failure.promise.catch(() => undefined)
  const waiting = texts.entries()
  const work = async (): Promise<void> => {
    for (const [index, text] of waiting) {
      try {
        outcomes[index]?.resolve(await outcomeOf(options, index, text, stop))
      } catch (thrown) {
        failure.reject(thrown)
        controller.abort(cancelled())
      }
      if (controller.signal.aborted) return
    }
  }
  const workers = Promise.all(Array.from({ length: Math.min(limit, texts.length) }, work))
  try {
    for (const { promise } of outcomes) yield await Promise.race([promise, failure.promise])
  } finally {
    controller.abort(cancelled())
    await workers
  }
}

async function outcomeOf(
  { partial, ask }: EachTextOptions,
  index: number,
  text: string,
  stop: AbortSignal,
): Promise<TextOutcome> {
  try {
    return { index, result: await ask(text, stop), error: undefined }
  } catch (thrown) {
    if (partial && !stop.aborted && isForClients(thrown)) return { index, result: null, error: thrown }
    throw placed(thrown, index)
  }
}

function isForClients(thrown: unknown): thrown is RouterError {
  return thrown instanceof RouterError && thrown.kind !== 'internal'
}

/** To the target it is as if the client had left: nothing that would count against it. */
function cancelled(): RouterError {
  return new RouterError('client_gone', 'Another text of the request failed')
}

/** The same failure, with the text it is about. */
function placed(thrown: unknown, index: number): unknown {
  if (!isForClients(thrown) || thrown.kind === 'client_gone') return thrown
  const { kind, message, status, code, retryAfterSeconds, shouldRetry, causeCode, cause } = thrown
  return new RouterError(kind, `texts[${index}]: ${message}`, {
    status,
    param: `texts[${index}]`,
    cause,
    ...(code === undefined ? {} : { code }),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    ...(shouldRetry === undefined ? {} : { shouldRetry }),
    ...(causeCode === undefined ? {} : { causeCode }),
  })
}
