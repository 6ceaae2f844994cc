import type { AttemptTrace, RequestTrace, TraceHeaders } from '../../relay/trace.ts'

/** What a client says of the trace that its request belongs to. */
export interface TraceContext {
  /** 32 hex digits, not all zero. */
  traceId: string
  /** 16 hex digits, not all zero. */
  parentId: string
  /** Bit 0: sampled; bit 1: the trace id is random. */
  flags: number
  /** The `tracestate` to hand on. */
  state: string | undefined
}

type Header = string | string[] | undefined

/** Source: W3C Trace Context, section 3.2. A later version may have more behind the flags, after another dash. */
const parentForm = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?=-|$)/
const parentLength = 55
/** The trace id is random: a property of the id, which everyone who keeps the id hands on (Level 2, section 3.2.2.5.2). */
export const randomFlag = 0x02
/** Flags that have a meaning in version 00; the others are sent as zero. */
const knownFlags = 0x01 | randomFlag

/** The client's trace context; undefined where it is missing or not valid, which is to be treated alike. */
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
 * The trace of a request of which the router itself records nothing: the client's as it came, since a span of the router's
 * that nobody exports would tear it apart. Undefined where the client is in none.
 */
export function passedOnTrace(headers: Readonly<Record<string, Header>>): RequestTrace | undefined {
  if (headers.traceparent === undefined) return undefined
  const context = readTraceContext(headers.traceparent, headers.tracestate)
  if (!context) return undefined
  const { traceId, parentId: spanId, flags, state } = context
  const attempt = unrecordedAttempt(traceHeaders({ traceId, spanId, flags }, state))
  return { traceId, spanId, beginAttempt: () => attempt }
}

/** An attempt that is recorded nowhere: only its upstream gets the headers. */
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
/** Section 3.3.1.5: so much must be handed on; of more, whole members may be left out at the end. */
const maxStateLength = 512

/** Undefined where any of it is wrong: then none of it may be handed on. */
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
