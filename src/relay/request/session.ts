import { isObject } from '../../lib/json/read.ts'

type Headers = Readonly<Record<string, string | string[] | undefined>>

/** The router's own header takes precedence: only it is set deliberately. */
const ownHeader = 'x-llm-router-session'

/**
 * Claude Code, then newer and older versions of Codex (openai/codex, `codex-rs/codex-api`, requests/headers.rs). Node passes
 * header names in lower case.
 */
const clientHeaders = ['x-claude-code-session-id', 'session-id', 'session_id', 'conversation_id', 'thread-id']

/**
 * The conversation of a request, as named by its client: the router's own header, the response that it continues,
 * the session ids of Claude Code and Codex. Undefined if none is named.
 */
export function sessionOf(headers: Headers, body: Readonly<Record<string, unknown>>): string | undefined {
  return (
    textOf(headers[ownHeader]) ??
    textOf(body.previous_response_id) ??
    clientHeaders.map((name) => textOf(headers[name])).find((value) => value !== undefined) ??
    claudeSession(isObject(body.metadata) ? body.metadata.user_id : undefined)
  )
}

/** Other ids by which clients group requests. */
export function groupOf(body: Readonly<Record<string, unknown>>): string | undefined {
  return textOf(body.prompt_cache_key) ?? textOf(body.user)
}

/** Claude Code writes `user_<hash>_account_<uuid>_session_<uuid>`, newer versions JSON with a `session_id`. */
function claudeSession(userId: unknown): string | undefined {
  if (typeof userId !== 'string') return undefined
  return /(?:_session_|"session_id"\s*:\s*")([\w-]{8,128})/.exec(userId)?.[1]
}

/** Longer ids are ignored. */
const maxLength = 256

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' && value.length <= maxLength ? value : undefined
}
