import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { answerJobs } from '../../support/answer-jobs.ts'
import { machineMs } from '../../support/machine-clock.ts'
import { readTokens } from './stamp.ts'

/** Commands for the reader of streams; it replies to each when it has finished. */
export type TokenJob =
  /** Replied to when each stream has had its first token. A stream that ends is requested again on its socket. */
  | { do: 'open'; port: number; request: string; streams: number; atOnce: number; pauseMs: number }
  /** Replied to with the measurements within this time. */
  | { do: 'listen'; durationMs: number }
  | { do: 'close' }

export interface Heard {
  seconds: number
  tokens: number
  /** Delays of all but the first tokens of streams, relative to their send times, in milliseconds. */
  later: Spread
  /** From a request to the first token of its response, in milliseconds. */
  first: Spread
}

export interface Spread {
  count: number
  p50: number
  p99: number
  longest: number
}

interface Ears {
  laterMs: number[]
  firstMs: number[]
}

let ears: Ears | undefined
const sockets = new Set<Socket>()

answerJobs(perform)

async function perform(job: TokenJob): Promise<object> {
  if (job.do === 'open') await openAll(job)
  if (job.do === 'listen') return await listen(job.durationMs)
  if (job.do === 'close') await closeAll()
  return {}
}

async function openAll(job: Extract<TokenJob, { do: 'open' }>): Promise<void> {
  const bytes = Buffer.from(job.request)
  for (let opened = 0; opened < job.streams; opened += job.atOnce) {
    const next = Math.min(job.atOnce, job.streams - opened)
    await Promise.all(Array.from({ length: next }, () => follow(job.port, bytes)))
    await delay(job.pauseMs)
  }
}

async function listen(durationMs: number): Promise<Heard> {
  const heard: Ears = { laterMs: [], firstMs: [] }
  const startedAt = machineMs()
  ears = heard
  await delay(durationMs)
  ears = undefined
  return {
    seconds: (machineMs() - startedAt) / 1000,
    tokens: heard.laterMs.length + heard.firstMs.length,
    later: spread(heard.laterMs),
    first: spread(heard.firstMs),
  }
}

async function closeAll(): Promise<void> {
  const closing = [...sockets]
  sockets.clear()
  await Promise.all(closing.map((socket) => once(socket.destroy(), 'close')))
}

/** Requests a stream, and again whenever it ends; settles with its first token. Any other response ends the program. */
function follow(port: number, request: Buffer): Promise<void> {
  const socket = connect(port, '127.0.0.1').setNoDelay(true)
  sockets.add(socket)
  let askedAt: number | undefined
  let text = ''
  const ask = (): void => {
    text = ''
    askedAt = machineMs()
    socket.write(request)
  }
  ask()
  return new Promise((resolve, reject) => {
    socket.on('data', (chunk: Buffer) => {
      const now = machineMs()
      text += chunk.toString('latin1')
      const { sentMs, rest } = readTokens(text)
      for (const sent of sentMs) {
        if (askedAt === undefined) ears?.laterMs.push(now - sent)
        else ears?.firstMs.push(now - askedAt)
        askedAt = undefined
        resolve()
      }
      text = rest
      if (!text.endsWith('\r\n0\r\n\r\n')) return
      if (askedAt === undefined && text.includes('[DONE]')) ask()
      else socket.destroy(new Error(`not the end of a good stream: ${text}`))
    })
    socket.on('error', reject)
    socket.on('close', () => {
      if (!sockets.has(socket)) return
      reject(new Error(`a stream was closed: ${text}`))
      throw new Error(`a stream was closed: ${text}`)
    })
  })
}

function spread(values: number[]): Spread {
  const sorted = Float64Array.from(values).sort()
  const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? Number.NaN
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), longest: sorted.at(-1) ?? Number.NaN }
}
