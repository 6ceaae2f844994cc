import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { scanObject } from '../../src/lib/json/splice.ts'
import { prefixKeys } from '../../src/relay/request/prefix-keys.ts'

/**
 * `node bench/fleet/key-cost.ts` prints the cost of a request's prefix keys beside the cost of scanning its body, which every
 * request has. With `--check` it fails if the keys cost more than half of the scan.
 */
const source = readFileSync(new URL('../../src/plugins/body/index.ts', import.meta.url), 'utf8')
const prose = readFileSync(new URL('../../docs/strategies.md', import.meta.url), 'utf8')

const bodies: Readonly<Record<string, object>> = {
  'chat of 20 short messages': {
    model: 'm',
    messages: turns(20, (index) => `Question ${index}: ${'what is this about? '.repeat(5)}`),
  },
  'agent with 15 tools and 60 messages': {
    model: 'm',
    tools: Array.from({ length: 15 }, (_, index) =>
      tool(`tool_${index}`, prose.slice(index * 99, index * 99 + 900)),
    ),
    messages: turns(60, (index) =>
      index % 2 === 1
        ? prose.slice(index * 50, index * 50 + 600)
        : source.slice(index * 20, index * 20 + 5_000),
    ),
  },
  'one long text': { model: 'm', messages: turns(1, () => prose.repeat(10)) },
  'image of 1.5 MB': {
    model: 'm',
    messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: dataUrl(1_500_000) } }] }],
  },
}

function turns(count: number, text: (index: number) => string): object[] {
  return Array.from({ length: count }, (_, index) => ({
    role: index % 2 === 1 ? 'assistant' : 'user',
    content: text(index),
  }))
}

function tool(name: string, description: string): object {
  const parameters = { type: 'object', properties: { path: { type: 'string' } }, required: ['path'] }
  return { type: 'function', function: { name, description, parameters } }
}

function dataUrl(bytes: number): string {
  return `data:image/png;base64,${randomBytes(bytes).toString('base64')}`
}

const rounds = 60
const members = ['tools', 'messages']
let isTooDear = false
console.log('| body | KB | scan (µs) | keys (µs) | share |')
console.log('|---|--:|--:|--:|--:|')
for (const [name, body] of Object.entries(bodies)) {
  const bytes = Buffer.from(JSON.stringify(body))
  const scan = scanObject(bytes)
  if (!scan) throw new Error('not an object')
  const [scanUs, keysUs] = fastest([() => scanObject(bytes), () => prefixKeys(bytes, scan, members)])
  const share = keysUs / scanUs
  isTooDear ||= share > 0.5
  const cells = [(bytes.length / 1024).toFixed(0), scanUs.toFixed(1), keysUs.toFixed(1), share.toFixed(2)]
  console.log(`| ${[name, ...cells].join(' | ')} |`)
}
if (process.argv.includes('--check') && isTooDear) process.exitCode = 1

/** Microseconds of each, alternating, so that a busy machine affects both equally; the best of many rounds. */
function fastest([first, second]: readonly [() => unknown, () => unknown]): [number, number] {
  const best: [number, number] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (let round = 0; round < rounds; round++) {
    best[0] = Math.min(best[0], timed(first))
    best[1] = Math.min(best[1], timed(second))
  }
  return best
}

function timed(run: () => unknown): number {
  const times = 50
  const before = performance.now()
  for (let count = 0; count < times; count++) run()
  return ((performance.now() - before) / times) * 1_000
}
