import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export interface RoundTripProxy {
  readonly port: number
  /**
   * Number of times that all outstanding Redis commands were answered since `count`: commands sent together are
   * one round trip.
   */
  readonly trips: number
  /** From here on responses are held until no more commands arrive. `digests`: of the scripts that count. */
  count(digests: readonly string[]): void
  /** Responses pass as they arrive. */
  pass(): void
  close(): void
}

/**
 * In milliseconds; no more commands are expected after this time: what is sent in one step arrives within a
 * fraction of it.
 */
const quietMs = 60

/** A proxy between a router and Redis that counts the round trips that a request waits for. */
export async function startRoundTripProxy(redisPort: number): Promise<RoundTripProxy> {
  const sockets = new Set<Socket>()
  const held: (() => void)[] = []
  let counted: readonly string[] | undefined
  let trips = 0
  let isAsked = false
  let timer: NodeJS.Timeout | undefined
  const deliver = (): void => {
    timer = undefined
    if (isAsked) trips++
    isAsked = false
    for (const send of held.splice(0)) send()
  }
  const wait = (): void => {
    clearTimeout(timer)
    const mine = setTimeout(async () => {
      // The router runs in this process: if both were paused, what it has sent meanwhile is read before the time counts.
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
      if (timer === mine) deliver()
    }, quietMs)
    timer = mine
  }
  const server = createServer((router) => {
    const redis = connect(redisPort, '127.0.0.1')
    for (const socket of [router, redis]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        router.destroy()
        redis.destroy()
      })
    }
    router.on('data', (bytes) => {
      redis.write(bytes)
      const text = bytes.toString('latin1')
      if (!counted?.some((digest) => text.includes(digest))) return
      isAsked = true
      wait()
    })
    redis.on('data', (bytes) => {
      if (!counted) return void router.write(bytes)
      held.push(() => router.write(bytes))
      if (!timer) wait()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    get trips() {
      return trips
    },
    count(digests) {
      counted = digests
      trips = 0
      isAsked = false
    },
    pass() {
      counted = undefined
      clearTimeout(timer)
      deliver()
    },
    close() {
      clearTimeout(timer)
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}
