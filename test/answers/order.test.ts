import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { anthropicEvent } from '../helpers/anthropic-answers.ts'
import { ask, type Json, startRig } from '../helpers/dialect-clients.ts'
import { eventsIn } from '../helpers/events-in.ts'
import { geminiAnswer, geminiStream, geminiText } from '../helpers/gemini-answers.ts'
import { post } from '../helpers/http.ts'
import { type Behaviour, openaiText, upstreamModel } from '../helpers/scripted-upstream.ts'

let rig: Awaited<ReturnType<typeof startRig>>

before(async () => {
  rig = await startRig(openaiText('unused'))
})
after(() => rig.close())

/** A response whose texts and calls alternate: a string is a text, a number the argument of a call. */
const order = ['First', 1, ' second', 2, ' third']
const calls = order.filter((each) => typeof each === 'number')

function messageBlocks(): Json[] {
  return order.map((each) =>
    typeof each === 'string'
      ? { type: 'text', text: each }
      : { type: 'tool_use', id: `toolu_${each}`, name: 'f', input: { n: each } },
  )
}

function anthropic(stream: boolean): Behaviour {
  const usage = { input_tokens: 9, output_tokens: 3 }
  const message = { id: 'msg_1', type: 'message', role: 'assistant', model: upstreamModel, usage }
  const ending = { stop_reason: 'tool_use', stop_sequence: null }
  if (!stream) return { kind: 'reply', body: { ...message, content: messageBlocks(), ...ending } }
  const blocks = messageBlocks().flatMap((block, index) => {
    const isText = block.type === 'text'
    const content_block = { ...block, ...(isText ? { text: '' } : { input: {} }) }
    const delta = isText
      ? { type: 'text_delta', text: block.text }
      : { type: 'input_json_delta', partial_json: JSON.stringify(block.input) }
    return [
      { type: 'content_block_start', index, content_block },
      { type: 'content_block_delta', index, delta },
      { type: 'content_block_stop', index },
    ]
  })
  const events = [
    { type: 'message_start', message: { ...message, content: [], stop_reason: null } },
    ...blocks,
    { type: 'message_delta', delta: ending, usage },
    { type: 'message_stop' },
  ]
  return { kind: 'stream', pieces: events.map(anthropicEvent) }
}

function gemini(stream: boolean): Behaviour {
  const parts = order.map((each) =>
    typeof each === 'string' ? { text: each } : { functionCall: { name: 'f', args: { n: each } } },
  )
  return stream ? geminiStream(parts) : geminiAnswer(parts)
}

function outputItems(): Json[] {
  return order.map((each) =>
    typeof each === 'string'
      ? {
          type: 'message',
          role: 'assistant',
          content: [{ type: 'output_text', text: each, annotations: [] }],
        }
      : { type: 'function_call', call_id: `call_${each}`, name: 'f', arguments: JSON.stringify({ n: each }) },
  )
}

function responses(stream: boolean): Behaviour {
  const response = { id: 'resp_1', object: 'response', status: 'completed', model: upstreamModel }
  const body = { ...response, output: outputItems(), usage: { input_tokens: 9, output_tokens: 3 } }
  if (!stream) return { kind: 'reply', body }
  const items = outputItems().flatMap((item, output_index) => {
    const deltas =
      item.type === 'message'
        ? [{ type: 'response.output_text.delta', output_index, delta: item.content[0].text }]
        : [{ type: 'response.function_call_arguments.delta', output_index, delta: item.arguments }]
    const added = { ...item, ...(item.type === 'message' ? { content: [] } : { arguments: '' }) }
    return [
      { type: 'response.output_item.added', output_index, item: added },
      ...deltas,
      { type: 'response.output_item.done', output_index, item },
    ]
  })
  const events = [
    { type: 'response.created', response: { ...response, status: 'in_progress', output: [] } },
    ...items,
    { type: 'response.completed', response: body },
  ]
  return { kind: 'stream', pieces: events.map(anthropicEvent) }
}

const upstreams = [
  ['anthropic', anthropic],
  ['gemini', gemini],
  ['responses', responses],
] as const

const parameters = { type: 'object', properties: { n: { type: 'integer' } } }
const definition = { name: 'f', description: 'F.' }

/** What an Anthropic client receives, in the form of {@link order}; its texts are those between the calls. */
async function asAnthropic(model: string, stream: boolean): Promise<unknown[]> {
  const tools = [{ ...definition, input_schema: parameters }]
  const { json, events, text } = await ask(rig, 'anthropic', model, { tools, stream })
  if (!stream) {
    assert.ok(json.content, text)
    return json.content.map((block: Json) => (block.type === 'text' ? block.text : block.input.n))
  }
  return events
    .filter(({ type }) => type === 'content_block_start')
    .map(({ index, content_block }) => {
      const deltas = events.flatMap((event) => (event.delta && event.index === index ? [event.delta] : []))
      return content_block.type === 'text'
        ? deltas.map((delta) => delta.text).join('')
        : JSON.parse(deltas.map((delta) => delta.partial_json).join('')).n
    })
}

async function asResponses(model: string, stream: boolean): Promise<unknown[]> {
  const tools = [{ type: 'function', ...definition, parameters }]
  const { json, events, text } = await ask(rig, 'responses', model, { tools, stream })
  const { output } = stream ? events.at(-1).response : json
  assert.ok(output, text)
  return output.map((item: Json) =>
    item.type === 'message' ? item.content[0].text : JSON.parse(item.arguments).n,
  )
}

async function asGemini(model: string, stream: boolean): Promise<unknown[]> {
  const verb = stream ? 'streamGenerateContent?alt=sse' : 'generateContent'
  const body = {
    contents: [{ role: 'user', parts: [{ text: 'hi' }] }],
    tools: [{ functionDeclarations: [{ ...definition, parameters }] }],
  }
  const { text } = await post(`${rig.router.url}/v1beta/models/${model}:${verb}`, body)
  const chunks: Json[] = stream ? eventsIn(text) : [JSON.parse(text)]
  const parts: Json[] = chunks.flatMap(({ candidates }) => candidates[0].content.parts)
  return parts.filter((part) => part.text !== '').map((part) => part.text ?? part.functionCall.args.n)
}

describe('texts and calls that alternate', () => {
  for (const [client, received] of [
    ['Anthropic', asAnthropic],
    ['the Responses API', asResponses],
    ['Gemini', asGemini],
  ] as const)
    test(`reach clients of ${client} in the order of the model, whole and streamed`, async () => {
      for (const stream of [false, true])
        for (const [type, answer] of upstreams) {
          rig.upstream.rescript(answer(stream))
          assert.deepEqual(await received(type, stream), order, `${type}, ${stream ? 'streamed' : 'whole'}`)
        }
    })

  test('reach clients of chat completions as one text and all calls', async () => {
    for (const [type, answer] of upstreams.slice(0, 2)) {
      rig.upstream.rescript(answer(false))
      const tools = [{ type: 'function', function: { ...definition, parameters } }]
      const { json } = await ask(rig, 'openai', type, { tools })
      const { content, tool_calls: called } = json.choices[0].message
      assert.equal(content, 'First second third', type)
      assert.deepEqual(
        called.map((call: Json) => JSON.parse(call.function.arguments).n),
        calls,
      )
    }
  })

  test('stay in their order in the history of a conversation', async () => {
    const results = {
      anthropic: calls.map((each) => ({ type: 'tool_result', tool_use_id: `toolu_${each}`, content: 'r' })),
      responses: calls.map((each) => ({
        type: 'function_call_output',
        call_id: `call_${each}`,
        output: 'r',
      })),
    }
    const messages = [
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: messageBlocks() },
      { role: 'user', content: results.anthropic },
    ]
    const input = [{ role: 'user', content: 'hi' }, ...outputItems(), ...results.responses]
    const sentParts = (): unknown[] =>
      rig.sent().contents[1].parts.map((part: Json) => part.text ?? part.functionCall.args.n)
    const sentBlocks = (): unknown[] =>
      rig.sent().messages[1].content.map((block: Json) => block.text ?? block.input.n)

    rig.upstream.rescript(geminiText('ok'))
    await ask(rig, 'anthropic', 'gemini', { messages })
    assert.deepEqual(sentParts(), order)
    await ask(rig, 'responses', 'gemini', { input })
    assert.deepEqual(sentParts(), order)
    rig.upstream.rescript(anthropic(false))
    await ask(rig, 'responses', 'anthropic', { input })
    assert.deepEqual(sentBlocks(), order)
    const contents = [
      { role: 'user', parts: [{ text: 'hi' }] },
      {
        role: 'model',
        parts: order.map((each) =>
          typeof each === 'string'
            ? { text: each }
            : { functionCall: { id: `call_${each}`, name: 'f', args: { n: each } } },
        ),
      },
      {
        role: 'user',
        parts: calls.map((each) => ({
          functionResponse: { id: `call_${each}`, name: 'f', response: { output: 'r' } },
        })),
      },
    ]
    await post(`${rig.router.url}/v1beta/models/anthropic:generateContent`, { contents })
    assert.deepEqual(sentBlocks(), order)
    rig.upstream.rescript(responses(false))
    await ask(rig, 'anthropic', 'responses', {
      messages,
      thinking: { type: 'enabled', budget_tokens: 1024 },
      max_tokens: 2000,
      tools: [{ ...definition, input_schema: parameters }],
    })
    const sent: Json[] = rig.sent().input.slice(1, 6)
    assert.deepEqual(
      sent.map((item) => item.content?.[0].text ?? JSON.parse(item.arguments).n),
      order,
    )
  })
})
