import type { AttemptTrace, RequestTrace, TraceHeaders } from '../../relay/trace.ts'

/** A client's W3C trace context. */
export interface TraceContext {
  /** 32 hex digits, not all zero. */
  traceId: string
  /** 16 hex digits, not all zero. */
  parentId: string
  /** Bit 0: sampled; bit 1: the trace id is random. */
  flags: number
  /** `tracestate` to forward. */
  state: string | undefined
}

type Header = string | string[] | undefined

/** Source: W3C Trace Context, section 3.2. Later versions may append more after the flags, separated by a dash. */
const parentForm = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?=-|$)/
const parentLength = 55
/** The trace id is random; the flag is propagated with the id (Level 2, section 3.2.2.5.2). */
export const randomFlag = 0x02
/** Flags that have a meaning in version 00; the others are sent as zero. */
const knownFlags = 0x01 | randomFlag

/** Parses the client's trace context; undefined if missing or invalid, which the specification treats alike. */
export function readTraceContext(traceparent: Header, tracestate: Header): TraceContext | undefined {
  if (typeof traceparent !== 'string') return undefined
  const [, version, traceId = '', parentId = '', flags = ''] = parentForm.exec(traceparent) ?? []
  if (version === undefined || version === 'ff') return undefined
  if (version === '00' && traceparent.length !== parentLength) return undefined
  if (/^0+$/.test(traceId) || /^0+$/.test(parentId)) return undefined
  return {
    traceId,
    parentId,
    flags: Number.parseInt(flags, 16) & knownFlags,
    state: typeof tracestate === 'string' ? readState(tracestate) : undefined,
  }
}

/**
 * Trace of a request that the router does not record. It forwards the client's context unchanged, because a span that
 * is never exported would break the trace. Undefined if the client sent none.
 */
export function forwardedTrace(headers: Readonly<Record<string, Header>>): RequestTrace | undefined {
  if (headers.traceparent === undefined) return undefined
  const context = readTraceContext(headers.traceparent, headers.tracestate)
  if (!context) return undefined
  const { traceId, parentId: spanId, flags, state } = context
  const attempt = unrecordedAttempt(traceHeaders({ traceId, spanId, flags }, state))
  return { traceId, spanId, beginAttempt: () => attempt }
}

/** Trace of an attempt that only sends the headers upstream and records nothing. */
export function unrecordedAttempt(headers: TraceHeaders): AttemptTrace {
  return {
    dispatched: () => headers,
    contentSeen: () => undefined,
    used: () => undefined,
    end: () => undefined,
  }
}

export function traceHeaders(
  { traceId, spanId, flags }: { traceId: string; spanId: string; flags: number },
  state: string | undefined,
): TraceHeaders {
  const traceparent = `00-${traceId}-${spanId}-${flags.toString(16).padStart(2, '0')}`
  return state === undefined ? { traceparent } : { traceparent, tracestate: state }
}

/** Source: W3C Trace Context Level 2, section 3.3.1.3.1. Level 1 allowed one at sign, and a digit in front only before it. */
const stateKey = /^[a-z0-9][a-z0-9_\-*/@]{0,255}$/
/** Printable ASCII without comma and equals sign, no blank at the end. */
const stateValue = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/
const maxStateMembers = 32
/**
 * Section 3.3.1.5: at least this many characters must be forwarded; beyond that, whole members may be dropped from the
 * end.
 */
const maxStateLength = 512

/** Undefined if any member is invalid: then none may be forwarded. */
function readState(text: string): string | undefined {
  const members = text
    .split(',')
    .map((member) => member.trim())
    .filter((member) => member !== '')
  if (members.length > maxStateMembers || !members.every(isStateMember)) return undefined
  let state = ''
  for (const member of members) {
    const longer = state === '' ? member : `${state},${member}`
    if (longer.length > maxStateLength) break
    state = longer
  }
  return state === '' ? undefined : state
}

function isStateMember(member: string): boolean {
  const equals = member.indexOf('=')
  return equals > 0 && stateKey.test(member.slice(0, equals)) && stateValue.test(member.slice(equals + 1))
}
