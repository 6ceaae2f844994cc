import {
  begun,
  complete,
  completion,
  done,
  errorEvent,
  failing,
  finish,
  good,
  hang,
  raw,
  reply,
  reset,
  role,
  stream,
  untilClose,
} from './answers.ts'
import type { Act } from './fault-server.ts'

export interface FaultCase {
  /** Completes the sentence "one server ...". */
  name: string
  /** `refuses`: no process listens there. */
  act: Act | 'refuses'
  /** What the clients request; `both` alternates. */
  asks: 'both' | 'whole' | 'stream'
}

const half = completion.slice(0, completion.length / 2)

/** One server fails before content, another one works: the best outcome is a correct response. */
export const beforeContent: readonly FaultCase[] = [
  { name: 'refuses connections', act: 'refuses', asks: 'both' },
  { name: 'resets', act: reset, asks: 'both' },
  { name: 'closes at once', act: raw(''), asks: 'both' },
  { name: 'sends half a status line', act: raw('HTTP/1.1 2'), asks: 'both' },
  { name: 'speaks another protocol', act: raw('\u0016\u0003\u0001'), asks: 'both' },
  { name: 'never answers', act: hang, asks: 'both' },
  ...[500, 502, 503, 504, 529].map((status) => answers(status)),
  { name: 'answers 429 with Retry-After', act: failing(429, { 'retry-after': '1' }), asks: 'both' },
  answers(401),
  answers(404),
  { name: 'redirects', act: reply(307, '', { location: 'http://127.0.0.1:1/' }), asks: 'both' },
  { name: 'sends HTML with 200', act: reply(200, '<p>', { 'content-type': 'text/html' }), asks: 'both' },
  { name: 'sends half a JSON text', act: reply(200, half), asks: 'both' },
  { name: 'sends less than its Content-Length', act: cutShort, asks: 'whole' },
  { name: 'cuts a body without a length', act: untilClose('application/json', [half]), asks: 'whole' },
  {
    name: 'sends an error with 200',
    act: reply(200, '{"error":{"message":"no","code":"rate_limit_exceeded"}}'),
    asks: 'both',
  },
  { name: 'ends a stream before content', act: stream([role]), asks: 'stream' },
  { name: 'cuts a stream before content', act: stream([role], 'FIN'), asks: 'stream' },
  { name: 'sends an error as first event', act: stream([errorEvent]), asks: 'stream' },
]

/** The only server fails in the middle of a stream: an explicit error is the best outcome, unless the content was complete. */
export const afterContent: readonly FaultCase[] = [
  midStream('ends without its end marker', stream(begun)),
  midStream('is cut off (FIN)', stream(begun, 'FIN')),
  midStream('is cut off (RST)', stream(begun, 'RST')),
  midStream('ends in the middle of an event', stream([...begun, 'data: {"choi'])),
  midStream('falls silent', stream(begun, 'silence')),
  midStream('reports an error and ends', stream([...begun, errorEvent])),
  midStream('reports an error and then an end', stream([...begun, errorEvent, done])),
  midStream('without a length is cut (FIN)', untilClose('text/event-stream', begun)),
  midStream('without a length is cut (RST)', untilClose('text/event-stream', begun, 'RST')),
  midStream('says all but `[DONE]`', stream([...complete.slice(0, -2), finish])),
  midStream('says all and does not close', stream(complete, 'silence')),
  {
    name: 'resets each kept-alive connection at its second request',
    act: (socket, asked) => (asked.before > 0 ? reset : good)(socket, asked),
    asks: 'both',
  },
]

function answers(status: number): FaultCase {
  return { name: `answers ${status}`, act: failing(status), asks: 'both' }
}

function midStream(how: string, act: Act): FaultCase {
  return { name: `stream ${how}`, act, asks: 'stream' }
}

function cutShort(...[socket, asked]: Parameters<Act>): void {
  reply(200, half, { 'content-length': `${completion.length}` })(socket, asked)
  socket.end()
}
