import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import OpenAI from 'openai'
import { messages } from '../helpers/messages.ts'
import { type FaultySetup, goodText, sharedSetups } from './faulty-setup.ts'
import { assertNothingLeft } from './invariants.ts'
import { type Fault, faults, faultText } from './upstream-faults.ts'

interface WatchedSetup extends FaultySetup {
  /** Fulfilled when a client has read content. */
  seen: PromiseWithResolvers<void>
}

const refused = faults.filter(({ outcome }) => outcome === 'refused')
const setups = sharedSetups(faults.length + refused.length)

function open(steps: Fault['steps']): WatchedSetup {
  const seen = Promise.withResolvers<void>()
  return { ...setups.open(() => steps(seen.promise)), seen }
}

/** What the official client makes of it: the text, and the error that it throws. */
async function asked(
  { router: { url }, models, seen }: WatchedSetup,
  kind: 'one' | 'two',
  stream: boolean,
): Promise<{ text: string; error: unknown }> {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'x', maxRetries: 0 })
  const model = models[kind]
  let text = ''
  try {
    if (stream) {
      const events = await client.chat.completions.create({ model, messages, stream: true })
      for await (const { choices } of events) {
        text += choices[0]?.delta.content ?? ''
        if (text !== '') seen.resolve()
      }
    } else {
      const answer = await client.chat.completions.create({ model, messages })
      text = answer.choices[0]?.message.content ?? ''
    }
    return { text, error: undefined }
  } catch (error) {
    return { text, error }
  }
}

function assertSeen({ outcome }: Fault, { text, error }: { text: string; error: unknown }): void {
  if (outcome === 'answered') {
    assert.deepEqual([text, error], [faultText, undefined])
    return
  }
  assert.ok(error instanceof OpenAI.APIError, `no error: ${JSON.stringify(text)} ${String(error)}`)
  assert.equal(text, outcome === 'broken' ? faultText : '')
  if (outcome === 'broken') assert.equal(error.status, undefined)
  else assert.ok(error.status === 502 || error.status === 504, String(error))
}

describe('the only upstream of a model', { concurrency: 4 }, () => {
  for (const fault of faults) {
    test(`${fault.stream ? 'a stream' : 'an answer'} from an only upstream that ${fault.name} is ${fault.outcome}`, async () => {
      const setup = open(fault.steps)
      assertSeen(fault, await asked(setup, 'one', fault.stream))
      await assertNothingLeft(setup, [setup.upstream], 1)
    })
  }
})

describe('a failover to another upstream', { concurrency: 4 }, () => {
  for (const fault of refused) {
    test(`a client does not notice an upstream that ${fault.name}`, async () => {
      const setup = open(fault.steps)
      // Whichever of the two comes first, the faulty one is asked at least once.
      for (let turn = 0; turn < 2; turn++) {
        assert.deepEqual(await asked(setup, 'two', fault.stream), { text: goodText, error: undefined })
      }
      assert.ok(setup.upstream.requests.length > 0)
      await assertNothingLeft(setup, [setup.upstream, setup.spare], 2)
    })
  }
})
