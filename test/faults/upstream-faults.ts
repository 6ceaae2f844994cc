import { answerBytes, chunk, fin, hang, head, rst, type Step, streamHead } from '../helpers/fault-upstream.ts'
import { openaiChunk, openaiDone } from '../helpers/scripted-upstream.ts'

/**
 * What a client sees if its only upstream behaves like this. `answered`: all of the text, properly ended.
 * `refused`: an HTTP error, 502 or 504. `broken`: the text up to the failure, then an error in the stream and no
 * end marker.
 */
export type Outcome = 'answered' | 'refused' | 'broken'

export interface Fault {
  name: string
  /** Whether the client asks for a stream. */
  stream: boolean
  outcome: Outcome
  /** `seen` is fulfilled when the client has read content: what must follow that content cannot overtake it. */
  steps: (seen: Promise<unknown>) => Iterable<Step>
}

/** The text that all of these answers contain, as far as they get. */
export const faultText = 'Hello'

/** Marks where the upstream waits until its client has read content. */
const afterContent: Step = new Promise(() => undefined)

const message = { role: 'assistant', content: faultText }
export const wholeJson = JSON.stringify({
  id: 'x',
  object: 'chat.completion',
  created: 1,
  model: 'upstream-model',
  choices: [{ index: 0, message, finish_reason: 'stop' }],
})
const role = openaiChunk({ role: 'assistant', content: '' })
const content = openaiChunk({ content: faultText })
const finish = openaiChunk({}, 'stop')
const wholeStream = role + content + finish + openaiDone
const json = ['content-type: application/json']
const sse = ['content-type: text/event-stream']

const whole = (name: string, outcome: Outcome, ...steps: Step[]): Fault => ({
  name,
  stream: false,
  outcome,
  steps: (seen) => steps.map((step) => (step === afterContent ? seen : step)),
})
const streamed = (name: string, outcome: Outcome, ...steps: Step[]): Fault => ({
  ...whole(name, outcome, ...steps),
  stream: true,
})

const framing: Fault[] = [
  whole(
    'sends 103 a thousand times first',
    'refused',
    head([], 'HTTP/1.1 103 Early Hints').toString().repeat(1_000),
    answerBytes(wholeJson),
  ),
  // RFC 9110, section 15.2 lets a server send this unasked; undici treats it as a broken response.
  whole('sends an unrequested 100', 'refused', head([], 'HTTP/1.1 100 Continue'), answerBytes(wholeJson)),
  whole('sends half of its headers and then nothing', 'refused', 'HTTP/1.1 200 OK\r\ncontent-le', hang),
  whole('sends headers and closes', 'refused', head([...json, 'content-length: 9']), fin),
  whole('sends headers and then nothing', 'refused', head([...json, 'content-length: 9']), hang),
  whole('answers in TLS', 'refused', Buffer.from([0x15, 3, 1, 0, 2, 2, 40]), fin),
  whole('ends its status line with a bare LF', 'refused', `HTTP/1.1 200 OK\ncontent-length: 2\n\n{}`, hang),
  whole(
    'sends a chunk size that is not a number',
    'refused',
    head([...json, 'transfer-encoding: chunked']),
    `zz\r\n${wholeJson}\r\n0\r\n\r\n`,
    hang,
  ),
  whole(
    'sends two lengths',
    'refused',
    head([...json, `content-length: ${wholeJson.length}`, 'content-length: 3']),
    wholeJson,
    hang,
  ),
  whole(
    'sends a length and chunked encoding',
    'refused',
    head([...json, 'content-length: 3', 'transfer-encoding: chunked']),
    chunk(wholeJson),
    chunk(),
    hang,
  ),
  whole(
    'sends 20 KiB in one header',
    'refused',
    answerBytes(wholeJson, [...json, `x: ${'a'.repeat(20_480)}`]),
  ),
  whole(
    'sends 3,000 headers',
    'refused',
    answerBytes(wholeJson, [...json, ...Array.from({ length: 3_000 }, (_, index) => `x-${index}: a`)]),
  ),
  whole(
    'switches protocols',
    'refused',
    head(['upgrade: h2c', 'connection: upgrade'], 'HTTP/1.1 101 OK'),
    hang,
  ),
  whole('sends more than its length', 'refused', head([...json, 'content-length: 20']), wholeJson, hang),
  whole('sends less than its length', 'refused', head([...json, 'content-length: 999']), wholeJson, fin),
  whole('answers 204', 'refused', head([], 'HTTP/1.1 204 No Content'), wholeJson, hang),
  whole('answers 304', 'refused', head([], 'HTTP/1.1 304 Not Modified'), hang),
  whole('sends an empty body', 'refused', head([...json, 'content-length: 0'])),
  whole('is cut by RST in a body without length', 'refused', head(json), wholeJson.slice(0, -9), rst),
  whole('is cut by FIN in a body without length', 'refused', head(json), wholeJson.slice(0, -9), fin),
]

const harmless: Fault[] = [
  whole('speaks HTTP/1.0 and ends by closing', 'answered', head(json, 'HTTP/1.0 200 OK'), wholeJson, fin),
  whole(
    'sends 103 first',
    'answered',
    head(['link: </x>'], 'HTTP/1.1 103 Early Hints'),
    answerBytes(wholeJson),
  ),
  whole(
    'sends trailers and hop-by-hop headers',
    'answered',
    head([...json, 'transfer-encoding: chunked', 'trailer: x-t', 'keep-alive: timeout=5', 'set-cookie: a=b']),
    chunk(wholeJson),
    '0\r\nx-t: y\r\n\r\n',
  ),
  whole('answers a stream where none was asked for', 'answered', answerBytes(wholeStream, sse)),
  whole(
    'sends its JSON byte by byte',
    'answered',
    head([...json, 'transfer-encoding: chunked']),
    ...bytesOf(wholeJson),
  ),
  streamed('answers whole where a stream was asked for', 'answered', answerBytes(wholeJson)),
  streamed('closes the body without length of a complete stream', 'answered', head(sse), wholeStream, fin),
  streamed('leaves out the end mark', 'answered', streamHead, chunk(role + content + finish), chunk()),
  streamed('resets after the end mark', 'answered', streamHead, chunk(wholeStream), rst),
  streamed('falls silent after the end mark', 'answered', streamHead, chunk(wholeStream), hang),
  streamed('cuts its stream into bytes', 'answered', streamHead, ...bytesOf(wholeStream), chunk()),
]

/** Each way in which a stream can be cut, before and after its first content. */
const cuts: Fault[] = [
  ['closes a body without length', head(sse), '', fin],
  ['resets a body without length', head(sse), '', rst],
  ['is cut by FIN between chunks', streamHead, '', fin],
  ['is cut by RST between chunks', streamHead, '', rst],
  ['is cut by FIN inside a chunk', streamHead, '20\r\ndata: {"cho', fin],
  ['ends properly, without finish reason or end marker', streamHead, chunk(), undefined],
  ['falls silent', streamHead, '', hang],
].flatMap(([name, first, tail, end]) => {
  const framed = (text: string): Step => (first === streamHead ? chunk(text) : text)
  const rest = [tail, end].filter((step) => step !== '' && step !== undefined) as Step[] // in the order above
  return [
    streamed(`${String(name)} before its first content`, 'refused', first as Step, framed(role), ...rest),
    streamed(
      `${String(name)} after its first content`,
      'broken',
      first as Step,
      framed(role + content),
      ...rest,
    ),
  ]
})

const reported: Fault[] = [
  streamed(
    'reports an error after the role',
    'refused',
    streamHead,
    chunk(`${role}data: {"error":{"message":"x"}}\n\n`),
    chunk(),
  ),
  streamed(
    'reports an error after content and continues',
    'broken',
    streamHead,
    chunk(role + content),
    afterContent,
    chunk(`data: {"error":{"message":"x"}}\n\n${content}${finish}${openaiDone}`),
    chunk(),
  ),
  streamed('sends only an end mark', 'refused', streamHead, chunk(openaiDone), chunk()),
  streamed('sends an empty stream', 'refused', streamHead, chunk()),
]

export const faults: readonly Fault[] = [...framing, ...harmless, ...cuts, ...reported]

/** One chunk per byte. */
function bytesOf(text: string): Step[] {
  const pieces: Step[] = [...Buffer.from(text)].map((byte) => chunk(Buffer.from([byte])))
  return text === wholeJson ? [...pieces, chunk()] : pieces
}
