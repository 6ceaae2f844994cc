import type { FastifyInstance } from 'fastify'
import { describeBug } from '../../lib/describe-bug.ts'
import { extensionProblem } from '../../lib/extension-problem.ts'
import { isObject } from '../../lib/json/read.ts'
import { ConfigError, RouterError } from '../../sdk/errors.ts'
import { withTimeLimit } from './time-limit.ts'

/** Time limits of the hooks `onReady` and `onClose` of an extension, in milliseconds. */
const readyTimeoutMs = 60_000
const closeTimeoutMs = 10_000

export type Hook = (this: unknown, ...args: unknown[]) => unknown

/**
 * Wraps the hooks that an extension adds while it is loaded, so that their errors name the extension and stay in the router.
 * `loading` returns the extension that is being loaded, if any.
 */
export function wrapHooks(app: FastifyInstance, loading: () => string | undefined): void {
  const wrappers: Readonly<Record<string, (hook: Hook, extension: string) => Hook>> = {
    onReady,
    onClose: (hook, extension) => onClose(app, hook, extension),
    onSend: (hook, extension) => onSend(app, hook, extension),
  }
  const { addHook } = app
  // Instances of `app.register` inherit it.
  app.addHook = function (this: FastifyInstance, name: string, hook: Hook) {
    const extension = loading()
    const wrap = extension === undefined || typeof hook !== 'function' ? undefined : wrappers[name]
    return Reflect.apply(addHook, this, [name, wrap ? wrap(hook, extension ?? '') : hook])
  } as FastifyInstance['addHook']
}

function onReady(hook: Hook, extension: string): Hook {
  return async function (this: unknown) {
    const timeoutMessage = `it has not finished after ${readyTimeoutMs / 1000} s`
    try {
      await withTimeLimit(
        settled((done) => hook.call(this, done), hook.length > 0),
        readyTimeoutMs,
        timeoutMessage,
      )
    } catch (error) {
      if (error instanceof ConfigError) throw error
      throw new ConfigError([extensionError(extension, `'onReady': ${extensionProblem(error, extension)}`)])
    }
  }
}

function onClose(app: FastifyInstance, hook: Hook, extension: string): Hook {
  return async function (this: unknown, instance) {
    const timeoutMessage = `it has not finished after ${closeTimeoutMs / 1000} s`
    try {
      await withTimeLimit(
        settled((done) => hook.call(this, instance, done), hook.length > 1),
        closeTimeoutMs,
        timeoutMessage,
      )
    } catch (error) {
      app.log.error({ extension, ...describeBug(error) }, "'onClose' of an extension failed")
    }
  }
}

/** Fastify sends the message of an error that is thrown while another error is sent. */
export function onSend(app: FastifyInstance, hook: Hook, extension: string): Hook {
  const hidden = (error: unknown): unknown => {
    const safe = withoutMessage(error)
    if (safe !== error) app.log.error({ extension, ...describeBug(error) }, "'onSend' of an extension failed")
    return safe
  }
  return function (this: unknown, request, reply, payload, done) {
    const end = (error: unknown, changed: unknown): void =>
      (done as OnSendDone)(error ? hidden(error) : null, changed)
    try {
      const returned = hook.call(this, request, reply, payload, end)
      return returned instanceof Promise
        ? returned.catch((error: unknown) => {
            throw hidden(error)
          })
        : returned
    } catch (error) {
      throw hidden(error)
    }
  }
}

type OnSendDone = (error: unknown, payload: unknown) => void

/** Errors with a status below 500 are meant for the client. */
function withoutMessage(error: unknown): unknown {
  const statusCode = isObject(error) ? error.statusCode : undefined
  if (error instanceof RouterError || (typeof statusCode === 'number' && statusCode < 500)) return error
  return new RouterError('internal', 'Internal error', { cause: error })
}

export function extensionError(extension: string, problem: string): string {
  return `LLM_ROUTER_EXTENSIONS: "${extension}": ${problem}`
}

/** Calls a function that returns a promise, or takes a callback as Fastify's plugins and hooks do. */
export async function settled(
  call: (done: (error?: unknown) => void) => unknown,
  takesCallback: boolean,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  try {
    const returned = call((error) => (error ? reject(error) : resolve()))
    if (!takesCallback) resolve(returned as Promise<void> | undefined) // `resolve` waits for any promise
    await promise
  } catch (error) {
    // Fastify ignores a rejection with null.
    throw error instanceof Error ? error : new Error(String(error))
  }
}
