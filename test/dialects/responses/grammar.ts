import assert from 'node:assert/strict'
import type { Json } from './support.ts'

export interface WireEvent extends Json {
  type: string
}

/** Each event has its type twice and ends with an empty line; sequence numbers count up from 0. */
export function eventsOf(text: string): WireEvent[] {
  const pieces = text.split('\n\n')
  assert.equal(pieces.pop(), '', 'the last event is closed')
  return pieces.map((piece, index) => {
    const match = /^event: (.+)\ndata: (.+)$/.exec(piece)
    assert.ok(match?.[2], piece)
    const event: WireEvent = JSON.parse(match[2])
    assert.equal(event.type, match[1])
    assert.equal(event.sequence_number, index, 'no gap in the sequence numbers')
    return event
  })
}

/** Checks the order of all events, and returns the items that they add up to and the last object. */
export function checkStream(text: string): { events: WireEvent[]; items: Json[]; answer: Json } {
  const events = eventsOf(text)
  assert.deepEqual(
    events.slice(0, 2).map(({ type, response }) => [type, objectOf(response).status]),
    [
      ['response.created', 'in_progress'],
      ['response.in_progress', 'in_progress'],
    ],
  )
  const last = events.at(-1)
  assert.ok(last)
  const answer = objectOf(last.response)
  assert.equal(answer.id, objectOf(events[0]?.response).id, 'one id')
  assert.equal(last.type, `response.${answer.status}`)
  assert.ok(['completed', 'incomplete', 'failed'].includes(String(answer.status)))
  const items = new ItemCheck()
  for (const event of events.slice(2, -1)) items.take(event)
  if (answer.status !== 'failed') {
    assert.equal(items.open, undefined, 'every item is done')
    assert.deepEqual(answer.output, items.done, 'the last object repeats all items')
  }
  return { events, items: items.done, answer }
}

/** Follows one item at a time: added, filled, and done with the sum of its deltas. */
class ItemCheck {
  readonly done: Json[] = []
  open: Json | undefined
  #part: { index: unknown; text: string; ended: boolean } | undefined
  #parts = 0
  #input = ''

  take(event: WireEvent): void {
    assert.equal(event.output_index, this.done.length, `${event.type}: items come in order`)
    if (event.type === 'response.output_item.added') {
      assert.equal(this.open, undefined, 'one item at a time')
      this.open = objectOf(event.item)
      this.#parts = 0
      this.#part = undefined
      this.#input = ''
      return
    }
    assert.ok(this.open, `${event.type} before its item`)
    if (event.type === 'response.output_item.done') {
      const item = objectOf(event.item)
      assert.equal(item.id, this.open.id)
      assert.equal(item.type, this.open.type)
      assert.ok(!this.#part, 'every part is done')
      const parts = item.summary ?? item.content ?? []
      assert.equal(Array.isArray(parts) && parts.length, this.#parts, 'the item has the announced parts')
      if (item.type === 'function_call') assert.equal(item.arguments, this.#input)
      if (item.type === 'custom_tool_call') assert.equal(item.input, this.#input)
      this.done.push(item)
      this.open = undefined
      return
    }
    assert.equal(event.item_id, this.open.id)
    const name = event.type.replace(/^response\./, '')
    const [kind, step] = [name.slice(0, name.lastIndexOf('.')), name.slice(name.lastIndexOf('.') + 1)]
    if (kind === 'function_call_arguments' || kind === 'custom_tool_call_input') {
      if (step === 'delta') this.#input += String(event.delta)
      else assert.equal(event.arguments ?? event.input, this.#input)
      return
    }
    this.#takePart(kind, step, event)
  }

  #takePart(kind: string, step: string, event: WireEvent): void {
    const index = event.content_index ?? event.summary_index
    if (step === 'added') {
      assert.ok(!this.#part, 'one part at a time')
      assert.equal(index, this.#parts++)
      this.#part = { index, text: '', ended: false }
      return
    }
    assert.ok(this.#part, `${event.type} before its part`)
    assert.equal(index, this.#part.index)
    if (step === 'delta') {
      this.#part.text += String(event.delta)
    } else if (kind.endsWith('_part')) {
      const part = objectOf(event.part)
      assert.ok(this.#part.ended)
      assert.equal(part.text ?? part.refusal, this.#part.text)
      this.#part = undefined
    } else {
      assert.equal(event.text ?? event.refusal, this.#part.text)
      this.#part.ended = true
    }
  }
}

export function objectOf(value: unknown): Json {
  assert.ok(typeof value === 'object' && value !== null && !Array.isArray(value))
  return value as Json // just checked
}
