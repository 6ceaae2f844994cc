import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { isObject } from '../../src/lib/json/read.ts'
import { scrape } from '../helpers/metrics.ts'
import { type AllProcessors, conversation, startAllProcessors } from './all-processors.ts'
import { officialClients } from './official-players.ts'
import type { OfficialAnswer, OfficialClient } from './official-question.ts'

let closed: AllProcessors
let open: AllProcessors
before(async () => {
  const options = { kinds: ['vllm'], analyzes: true }
  closed = await startAllProcessors(options)
  open = await startAllProcessors(options)
})
after(async () => {
  await closed.close()
  await open.close()
})

/** Only the processor whose service is down has a short timeout: the others are slow on a busy machine. */
const waitingFor =
  (dead: string, more: object = {}) =>
  (name: string) => ({ timeout: name === dead ? 0.3 : 20, ...more })

/** The processor that calls each service, and whether it runs before the model is called. */
const services = {
  '/search': { name: 'docs', isBefore: true },
  '/early': { name: 'early', isBefore: true },
  '/analyze': { name: 'masking', isBefore: true },
  '/masked': { name: 'masked', isBefore: true },
  '/raw': { name: 'raw', isBefore: false },
  '/late': { name: 'late', isBefore: false },
} as const

function ask(client: OfficialClient, { router }: AllProcessors, stream: boolean): Promise<OfficialAnswer> {
  const words = conversation(`${client.name} ${stream} ${Math.random()}`)
  return client.ask({ url: router.url, model: 'vllm', stream, words })
}

/** Completions have no retrieval. */
function asksFor(path: string): readonly OfficialClient[] {
  return officialClients.filter(({ name }) => path !== '/search' || name !== 'openai completions')
}

const failures = [
  ['hang', true],
  ['reset', false],
  ['refuse', true],
] as const

for (const [path, { name, isBefore }] of Object.entries(services)) {
  test(`${name}: a service that is down rejects requests in each dialect, before any later model request`, async () => {
    await closed.configure(waitingFor(name))
    for (const [how, stream] of failures) {
      closed.breakService(path, how)
      const asked = closed.model.requests.length
      const startedAt = performance.now()
      await Promise.all(
        asksFor(path).map((client) =>
          assert.rejects(ask(client, closed, stream), (error) => isRefusal(error, name, client.name)),
        ),
      )
      assert.ok(performance.now() - startedAt < 20_000)
      if (isBefore) assert.equal(closed.model.requests.length, asked)
    }
    closed.breakService(undefined)
  })

  test(`${name}: with "failure": "open" a service that is down lets requests pass and is counted`, async () => {
    await open.configure(waitingFor(name, { failure: 'open' }))
    open.breakService(path)
    const clients = asksFor(path)
    await Promise.all(
      clients.map(async (client, index) => {
        const { text } = await ask(client, open, index % 2 === 0)
        assert.match(text, /^I know .*And again/s, client.name)
      }),
    )
    assert.equal(await failedOpen(name), clients.length)
    open.breakService(undefined)
  })
}

async function failedOpen(processor: string): Promise<number> {
  const series = await scrape(open.router.url)
  return series.sum('llm_router_processor_runs_total', { processor, outcome: 'failed_open' })
}

/** Each client has its own error class, which contains the status. */
function isRefusal(error: unknown, name: string, client: string): boolean {
  assert.ok(error instanceof Error && isObject(error))
  // Anthropic's API has its own status for overload.
  assert.equal(error.status ?? error.status_code, client === 'anthropic' ? 529 : 503, error.message)
  assert.match(error.message, new RegExp(`cannot be processed by '${name}' now`))
  return true
}
