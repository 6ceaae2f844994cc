import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export interface RoundTripProxy {
  readonly port: number
  /** How often all that was asked of Redis so far has been answered, since `count`: commands that are sent at once are one round trip. */
  readonly trips: number
  /** From here on answers are held until nothing more is asked. `digests`: of the scripts that count. */
  count(digests: readonly string[]): void
  /** Answers pass as they come. */
  pass(): void
  close(): void
}

/** Nothing more is asked once this has passed, in milliseconds: what is sent in one step arrives within a fraction of it. */
const quietMs = 60

/** Between a router and Redis: counts the round trips that a request waits for. */
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
      // The router runs in this process: where both stood still, what it has sent meanwhile is read before the time counts.
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
