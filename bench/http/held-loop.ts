import { once } from 'node:events'
import { createServer } from 'node:net'
import { textOf } from '../../src/plugins/metrics/cluster.ts'
import { CounterFamily, type Distribution, HistogramFamily } from '../../src/plugins/metrics/families.ts'
import { createHttpTransport } from '../../src/relay/upstream/http-transport.ts'

/*
 * How long one operation blocks the event loop: a response with too large headers compared with an ordinary one, and a scrape
 * of a thousand models compared with one of ten. As ratios, which hardly depend on the machine.
 *   node bench/http/held-loop.ts
 */

const rounds = 20

/** The CPU time of this thread only: other load on the machine does not count. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

/** The longest event loop iteration while this ran, in milliseconds of CPU time; the median of all rounds. */
async function heldMs(run: () => Promise<unknown>): Promise<number> {
  const worst: number[] = []
  for (let round = 0; round < rounds; round++) {
    let last = cpuMs()
    let longest = 0
    let running = true
    const look = (): void => {
      const now = cpuMs()
      longest = Math.max(longest, now - last)
      last = now
      if (running) setImmediate(look)
    }
    setImmediate(look)
    await run()
    // The last blocking operation is visible only in the next iteration.
    await new Promise((resolve) => setImmediate(resolve))
    longest = Math.max(longest, cpuMs() - last)
    running = false
    worst.push(longest)
  }
  return worst.toSorted((a, b) => a - b)[rounds >> 1] ?? 0
}

const ordinary = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}'
const overflow = `HTTP/1.1 200 OK\r\n${'x-a: b\r\n'.repeat(25_000)}\r\n`

async function answers(): Promise<void> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (bytes) => socket.write(String(bytes).includes('/overflow') ? overflow : ordinary))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const origin = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`
  const transport = createHttpTransport({ connectTimeoutMs: 1_000 })
  const ask = (path: string) => () =>
    new Promise((resolve) => {
      const request = { origin, path, method: 'GET', headers: {}, body: Buffer.alloc(0) } as const
      const sink = { onHeaders: () => undefined, onData: () => undefined }
      transport.open(request, { ...sink, onEnd: () => resolve(undefined), onError: resolve })
    })
  const usual = await heldMs(ask('/'))
  const large = await heldMs(ask('/overflow'))
  tell('an answer with 25,000 headers', large, 'an ordinary answer', usual)
  await transport.close()
  server.close()
}

async function scrapes(): Promise<void> {
  const text = (models: number) => {
    const families = familiesOf(models)
    return () => textOf(families.map((family) => () => family.get()))
  }
  const usual = await heldMs(text(10))
  const large = await heldMs(text(1_000))
  tell('a scrape of 1,000 models', large, 'a scrape of 10 models', usual)
}

function familiesOf(models: number) {
  const description = { help: 'x', labelNames: ['model_name', 'provider_type'] } as const
  const counters = Array.from(
    { length: 10 },
    (_, index) => new CounterFamily({ ...description, name: `c${index}` }),
  )
  const buckets = Array.from({ length: 16 }, (_, index) => 0.005 * 2 ** index)
  const histograms = Array.from(
    { length: 4 },
    (_, index) => new HistogramFamily({ ...description, name: `h${index}`, buckets }),
  )
  for (let model = 0; model < models; model++) {
    const labels = { model_name: `model-${model}`, provider_type: 'vllm' }
    for (const counter of counters) counter.series(labels).value++
    for (const histogram of histograms) observe(histogram.series(labels))
  }
  return [...counters, ...histograms]
}

function observe(series: Distribution): void {
  for (const seconds of [0.01, 0.1, 1]) series.observe(seconds)
}

function tell(what: string, ms: number, beside: string, usualMs: number): void {
  const ratio = (ms / usualMs).toFixed(1)
  process.stdout.write(
    `${what} holds up ${ms.toFixed(1)} ms, ${beside} ${usualMs.toFixed(1)} ms: ${ratio} times\n`,
  )
}

await answers()
await scrapes()
