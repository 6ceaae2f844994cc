import type { FastifyReply, FastifyRequest } from 'fastify'
import { type KeyLookup, presentedKey } from '../../config/client-keys/key-ring.ts'
import { hasRole } from '../../sdk/client-key.ts'
import { RouterError } from '../../sdk/errors.ts'
import { usesSession } from './authenticator.ts'
import type { Keys } from './keys-file.ts'
import type { Sessions } from './sessions/sessions.ts'

/** What the reader of a running stream may see: `ended` once its key or session is no longer valid. */
export type View = 'operator' | 'viewer' | 'ended'

interface WatcherOptions {
  keys: Keys
  sessions: Sessions
  tokenLogin(request: FastifyRequest): KeyLookup | RouterError | undefined
  isOperator(request: FastifyRequest, reply: FastifyReply): boolean
}

/** Returns a function that returns what a running stream may currently see. */
export function createLiveView({ keys, sessions, tokenLogin, isOperator }: WatcherOptions) {
  return (request: FastifyRequest, reply: FastifyReply): (() => View) => {
    const first = isOperator(request, reply)
    const key = presentedKey(request.headers)
    const isByKey = key !== undefined && (first || request.client !== undefined)
    const isBySession = usesSession(request, sessions) && (first || request.client !== undefined)
    // Without either, everyone may read.
    if (!isByKey && !isBySession) return () => 'viewer'
    return () => {
      const login = isByKey ? (tokenLogin(request) ?? keys.find(key)) : undefined
      const valid =
        login && !(login instanceof RouterError) && login.error === undefined ? login.client : undefined
      const client = isByKey ? valid : sessions.find(request)?.client
      if (!client || !hasRole(client, 'viewer')) return 'ended'
      return hasRole(client, 'operator') ? 'operator' : 'viewer'
    }
  }
}
