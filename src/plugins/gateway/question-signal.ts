import { RouterError } from '../../sdk/errors.ts'

/** The end of the request counts, with its own reason; that of the question is to the target as if the client had left. */
export function stopped(own: AbortSignal, ofRequest: AbortSignal, gone = left()): AbortSignal {
  const controller = new AbortController()
  const onRequest = (): void => controller.abort(ofRequest.reason)
  const onOwn = (): void => controller.abort(gone)
  for (const [signal, listener] of [
    [ofRequest, onRequest],
    [own, onOwn],
  ] as const) {
    if (signal.aborted) listener()
    else signal.addEventListener('abort', listener, { once: true, signal: controller.signal })
  }
  return controller.signal
}

/** Of a question that nobody wants answered any more. */
export function left(): RouterError {
  return new RouterError('client_gone', 'The question was given up')
}
