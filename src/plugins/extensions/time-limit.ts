/** Returns the result of `work`; rejects with `message` after `timeoutMs`. The work itself goes on. */
export async function withTimeLimit<T>(work: Promise<T>, timeoutMs: number, message: string): Promise<T> {
  const timeout = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    const error = new Error(message)
    error.name = 'TimeoutError'
    error.stack = '' // it would locate this timer
    timeout.reject(error)
  }, timeoutMs)
  try {
    return await Promise.race([work, timeout.promise])
  } finally {
    clearTimeout(timer)
  }
}
