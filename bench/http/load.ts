import { connect, type Socket } from 'node:net'
import { Worker } from 'node:worker_threads'
import { answerJobs } from '../support/answer-jobs.ts'
import type { Pace } from './pacer.ts'

/** Keeps `concurrency` requests running for `durationMs`; each waits for its response before the next one on its socket. */
export interface LoadJob {
  port: number
  path: string
  /** The request's JSON, without its filling. */
  body: string
  /** Letters that replace `FILLING` in it. */
  fillingBytes: number
  /** Headers in addition to those of every request. */
  headers: Record<string, string>
  concurrency: number
  durationMs: number
  /** Maximum number of requests started per second; 0 means no limit. */
  perSecond: number
  /** Part of the last bytes of a correct response. */
  endsWith: string
  /** A path requested every 10 ms during the load; empty disables it. */
  pingPath: string
}

export interface LoadResult {
  requests: number
  /** Responses other than 200, without the expected end, or cut off with their connection. */
  bad: number
  /** From the first request to the last response. */
  seconds: number
  /** From a request's first byte to the first byte of its response, sorted. */
  firstByteMs: number[]
  /** From a request's first byte to the last byte of its response, sorted. */
  wholeMs: number[]
  longestPingMs: number
}

answerJobs(run)

async function run(job: LoadJob): Promise<LoadResult> {
  const result: LoadResult = {
    requests: 0,
    bad: 0,
    seconds: 0,
    firstByteMs: [],
    wholeMs: [],
    longestPingMs: 0,
  }
  const bytes = requestBytes(
    'POST',
    job.path,
    job.body.replace('FILLING', 'x'.repeat(job.fillingBytes)),
    job.headers,
  )
  const startedAt = performance.now()
  const until = startedAt + job.durationMs
  const turns = evenTurns(job)
  const pinging = job.pingPath === '' ? undefined : ping(job, until, result)
  await Promise.all(Array.from({ length: job.concurrency }, () => ask(job, bytes, { until, turns, result })))
  result.seconds = (performance.now() - startedAt) / 1000
  await pinging
  result.firstByteMs.sort((a, b) => a - b)
  result.wholeMs.sort((a, b) => a - b)
  return result
}

interface Turns {
  /** Resolves when the next request may start: `false` if no more may start. */
  next(): Promise<boolean> | boolean
}

/** At an even pace for all connections; late requests follow immediately. */
function evenTurns(pace: Pace): Turns {
  if (pace.perSecond === 0) return { next: () => true }
  let due = 0
  let over = false
  const waiting: ((go: boolean) => void)[] = []
  const pacer = new Worker(new URL('pacer.ts', import.meta.url), { workerData: pace })
  pacer.on('message', () => {
    const go = waiting.shift()
    if (go) go(true)
    else due++
  })
  pacer.on('exit', () => {
    over = true
    for (const go of waiting.splice(0)) go(false)
  })
  return {
    next() {
      if (due === 0) return over ? false : new Promise((resolve) => waiting.push(resolve))
      due--
      return true
    },
  }
}

interface Asking {
  until: number
  turns: Turns
  result: LoadResult
}

/** One connection's requests, one after the other. */
async function ask(job: LoadJob, bytes: Buffer, { until, turns, result }: Asking): Promise<void> {
  const socket = connect(job.port, '127.0.0.1').setNoDelay(true)
  socket.on('error', () => undefined) // its close event reports it
  try {
    while (performance.now() < until && (await turns.next())) {
      const exchanged = await exchange(socket, bytes).catch(() => undefined)
      result.requests++
      if (!exchanged) {
        result.bad++
        return
      }
      const { status, tail, firstByteMs, wholeMs } = exchanged
      result.firstByteMs.push(firstByteMs)
      result.wholeMs.push(wholeMs)
      if (status !== '200' || !tail.includes(job.endsWith)) result.bad++
    }
  } finally {
    socket.destroy()
  }
}

async function ping(job: LoadJob, until: number, result: LoadResult): Promise<void> {
  const socket = connect(job.port, '127.0.0.1').setNoDelay(true)
  const bytes = requestBytes('GET', job.pingPath, '')
  while (performance.now() < until) {
    const { firstByteMs } = await exchange(socket, bytes)
    result.longestPingMs = Math.max(result.longestPingMs, firstByteMs)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  socket.destroy()
}

function requestBytes(
  method: string,
  path: string,
  body: string,
  headers: Record<string, string> = {},
): Buffer {
  const type =
    body === '' ? '' : `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n`
  const others = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(`${method} ${path} HTTP/1.1\r\nhost: bench\r\n${type}${others.join('')}\r\n${body}`)
}

interface Exchanged {
  status: string
  /** The last bytes of the response. */
  tail: string
  firstByteMs: number
  wholeMs: number
}

const tailBytes = 512

/** Sends a request and reads its response to the end; parses only as much HTTP as that needs. */
function exchange(socket: Socket, bytes: Buffer): Promise<Exchanged> {
  return new Promise((resolve, reject) => {
    if (socket.destroyed) throw new Error('the connection was closed')
    const startedAt = performance.now()
    let firstByteMs = 0
    let status = ''
    /** Remaining bytes; undefined: chunked. */
    let left: number | undefined
    let tail = ''
    const onData = (chunk: Buffer): void => {
      const text = chunk.toString('latin1')
      tail = text.length >= tailBytes ? text.slice(-tailBytes) : (tail + text).slice(-tailBytes)
      if (status === '') {
        firstByteMs = performance.now() - startedAt
        status = text.slice(9, 12)
        const headEnd = text.indexOf('\r\n\r\n') + 4
        const length = /^content-length: *(\d+)/im.exec(text.slice(0, headEnd))?.[1]
        left = length === undefined ? undefined : Number(length) - (text.length - headEnd)
      } else if (left !== undefined) {
        left -= chunk.length
      }
      if (left === undefined ? tail.endsWith('0\r\n\r\n') : left <= 0) finish()
    }
    const onClose = (): void => {
      socket.off('data', onData)
      reject(new Error('the connection was closed'))
    }
    const finish = (): void => {
      socket.off('data', onData)
      socket.off('close', onClose)
      resolve({ status, tail, firstByteMs, wholeMs: performance.now() - startedAt })
    }
    socket.on('data', onData)
    socket.once('close', onClose)
    socket.write(bytes)
  })
}
