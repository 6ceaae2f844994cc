import assert from 'node:assert/strict'
import { after, before } from 'node:test'
import { eventsIn } from '../helpers/events-in.ts'
import { post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  openaiText,
  type ScriptedUpstream,
  startUpstream,
  upstreamModel,
} from '../helpers/scripted-upstream.ts'

const upstreams = { openai: 'vllm', anthropic: 'anthropic', ollama: 'ollama', responses: 'openai' } as const
export type Kind = keyof typeof upstreams

export const parameters = { type: 'object', properties: { a: { type: 'string' } } }
export const tool = { type: 'function', function: { name: 'f', parameters } }

/** A client of each dialect: what it sends, and what it reads of the tool call and of the end. */
export const clients = {
  openai: {
    path: '/v1/chat/completions',
    body: { messages, tools: [tool], max_tokens: 9 },
    length: 'length',
    whole: (json: Json) => {
      const [choice] = json.choices
      const call = choice.message.tool_calls?.[0].function
      return {
        name: call?.name,
        json: call?.arguments,
        text: choice.message.content,
        end: choice.finish_reason,
      }
    },
    stream: (events: Json[]) => {
      const deltas = events.map(({ choices }) => choices?.[0]?.delta ?? {})
      const calls = deltas.flatMap((delta) => delta.tool_calls ?? [])
      return {
        name: calls[0]?.function.name,
        json: calls.map((call) => call.function.arguments ?? '').join(''),
        text: deltas.map(({ content }) => content ?? '').join(''),
        end: events.findLast(({ choices }) => choices?.[0])?.choices[0].finish_reason,
      }
    },
  },
  anthropic: {
    path: '/v1/messages',
    body: { messages, tools: [{ name: 'f', input_schema: parameters }], max_tokens: 9 },
    length: 'max_tokens',
    whole: (json: Json) => {
      const call = json.content.find(({ type }: Json) => type === 'tool_use')
      const text = json.content.find(({ type }: Json) => type === 'text')?.text
      return { name: call?.name, json: call && JSON.stringify(call.input), text, end: json.stop_reason }
    },
    stream: (events: Json[]) => ({
      name: events.find(({ content_block }) => content_block?.type === 'tool_use')?.content_block.name,
      json: events.map(({ delta }) => delta?.partial_json ?? '').join(''),
      text: events.map(({ delta }) => delta?.text ?? '').join(''),
      end: events.at(-1)?.type === 'message_stop' ? events.at(-2)?.delta.stop_reason : 'none',
    }),
  },
  ollama: {
    path: '/api/chat',
    body: { messages, tools: [tool], options: { num_predict: 9 } },
    length: 'length',
    whole: (json: Json) => {
      const call = json.message.tool_calls?.[0].function
      const args = call && JSON.stringify(call.arguments)
      return { name: call?.name, json: args, text: json.message.content, end: json.done_reason }
    },
    stream: (events: Json[]) => {
      const call = events.find(({ message }) => message.tool_calls)?.message.tool_calls[0].function
      return {
        name: call?.name,
        json: call && JSON.stringify(call.arguments),
        text: events.map(({ message }) => message.content).join(''),
        end: events.at(-1)?.done ? events.at(-1)?.done_reason : 'none',
      }
    },
  },
  responses: {
    path: '/v1/responses',
    body: { input: 'hi', tools: [{ type: 'function', name: 'f', parameters }], max_output_tokens: 9 },
    length: 'max_output_tokens',
    whole: (json: Json) => {
      const call = json.output.find(({ type }: Json) => type === 'function_call')
      const said = json.output.find(({ type }: Json) => type === 'message')
      assert.ok(!call || json.status !== 'incomplete' || call.status === 'incomplete')
      return {
        name: call?.name,
        json: call?.arguments,
        text: said?.content[0].text,
        end: json.incomplete_details?.reason ?? json.status,
      }
    },
    stream: (events: Json[]) => {
      const last = events.at(-1)
      return clients.responses.whole(last?.response ?? { output: [], status: last?.type })
    },
  },
} as const

export type Client = keyof typeof clients

/** Answers of four dialects, which the assertions inspect. */
export type Json = ReturnType<typeof JSON.parse>

/** A router with three targets of each dialect on one server. Registers the hooks that start and close them. */
export function outputRig() {
  let router: TestRouter
  let upstream: ScriptedUpstream
  before(async () => {
    upstream = await startUpstream(openaiText('unused'))
    const three = (kind: Kind) =>
      [1, 2, 3].map((number) => ({
        id: `${kind}${number}`,
        api_type: upstreams[kind],
        api_host: upstream.url,
        model_path: upstreamModel,
        ...(kind === 'responses' ? { responses: true } : {}),
      }))
    router = await startRouter({
      models: modelsConfig({
        openai: three('openai'),
        anthropic: three('anthropic'),
        ollama: three('ollama'),
        responses: three('responses'),
      }),
    })
  })

  after(async () => {
    await router.close()
    await upstream.close()
  })

  return {
    get upstream(): ScriptedUpstream {
      return upstream
    },
    get router(): TestRouter {
      return router
    },
    /** Asks once; the upstream must have answered once, and the client must have received it. */
    async ask(client: Client, model: Kind, stream: boolean, more: object = {}): Promise<Json> {
      const before = upstream.requests.length
      const { path, body } = clients[client]
      const answer = await post(router.url + path, { ...body, ...more, model, stream })
      assert.equal(answer.status, 200, answer.text)
      assert.equal(upstream.requests.length, before + 1, 'generated once')
      return stream ? eventsIn(answer.text) : JSON.parse(answer.text)
    },
  }
}
