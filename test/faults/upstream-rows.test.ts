import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import OpenAI from 'openai'
import { messages } from '../helpers/messages.ts'
import { goodText, type House, sharedHouses } from './fault-house.ts'
import { assertNothingLeft } from './invariants.ts'
import { type Fault, faults, faultText } from './upstream-faults.ts'

interface WatchedHouse extends House {
  /** Fulfilled when a client has read content. */
  seen: PromiseWithResolvers<void>
}

const refused = faults.filter(({ outcome }) => outcome === 'refused')
const houses = sharedHouses(faults.length + refused.length)

function open(steps: Fault['steps']): WatchedHouse {
  const seen = Promise.withResolvers<void>()
  return { ...houses.open(() => steps(seen.promise)), seen }
}

/** What the official client makes of it: the text, and the error that it throws. */
async function asked(
  { router: { url }, models, seen }: WatchedHouse,
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
    test(`${fault.name}: ${fault.stream ? 'a stream' : 'an answer'} is ${fault.outcome}`, async () => {
      const house = open(fault.steps)
      assertSeen(fault, await asked(house, 'one', fault.stream))
      await assertNothingLeft(house, [house.upstream], 1)
    })
  }
})

describe('with another upstream', { concurrency: 4 }, () => {
  for (const fault of refused) {
    test(`a client sees nothing of one that ${fault.name}`, async () => {
      const house = open(fault.steps)
      // Whichever of the two is first, the one with the fault is met at least once.
      for (let turn = 0; turn < 2; turn++) {
        assert.deepEqual(await asked(house, 'two', fault.stream), { text: goodText, error: undefined })
      }
      assert.ok(house.upstream.requests.length > 0)
      await assertNothingLeft(house, [house.upstream, house.spare], 2)
    })
  }
})
