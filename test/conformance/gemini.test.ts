import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { ApiError, FunctionCallingConfigMode, GoogleGenAI, type Part, Type } from '@google/genai'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { type ScriptedUpstream, startUpstream, upstreamModel } from '../helpers/scripted-upstream.ts'
import { inTurn, upstreamKinds } from './upstream-kinds.ts'

const declaration = {
  name: 'get_weather',
  description: 'Weather of a city',
  parameters: { type: Type.OBJECT, properties: { city: { type: Type.STRING } }, required: ['city'] },
}
const calls = ['Oslo', 'Rome'].map((city) => ({ name: 'get_weather', input: { city } }))
const thinking = { thinkingConfig: { includeThoughts: true, thinkingBudget: 1024 } }
const model = 'team/small:latest'

for (const kind of upstreamKinds) {
  describe(`Google's client over an upstream of type ${kind.type}`, () => {
    let upstream: ScriptedUpstream
    let router: TestRouter
    let client: GoogleGenAI

    before(async () => {
      upstream = await startUpstream(kind.say({ text: 'Hi there' }))
      const provider = {
        api_type: kind.type,
        api_host: upstream.url,
        api_token: 'upstream-key',
        model_path: upstreamModel,
      }
      router = await startRouter({ models: modelsConfig({ [model]: [provider] }) })
      client = new GoogleGenAI({ apiKey: 'client-key', httpOptions: { baseUrl: router.url } })
    })
    after(async () => {
      await router.close()
      await upstream.close()
    })

    test('gets a whole response with its token counts', async () => {
      upstream.rescript(kind.say({ text: 'Hi there' }))
      const answer = await client.models.generateContent({ model, contents: 'Hello' })
      assert.equal(answer.text, 'Hi there')
      assert.equal(answer.candidates?.[0]?.finishReason, 'STOP')
      const { promptTokenCount, candidatesTokenCount, totalTokenCount } = answer.usageMetadata ?? {}
      assert.deepEqual([promptTokenCount, candidatesTokenCount, totalTokenCount], [9, 3, 12])
    })

    test('gets a stream whose last chunk has the finish reason and the token counts', async () => {
      upstream.rescript(kind.say({ text: 'Hi there' }))
      const texts: string[] = []
      let last: unknown
      for await (const chunk of await client.models.generateContentStream({ model, contents: 'Hello' })) {
        if (chunk.text) texts.push(chunk.text)
        last = [chunk.candidates?.[0]?.finishReason, chunk.usageMetadata?.totalTokenCount]
      }
      assert.ok(texts.length > 1)
      assert.equal(texts.join(''), 'Hi there')
      assert.deepEqual(last, ['STOP', 12])
    })

    test('gets reasoning if it requests it', async () => {
      upstream.rescript(kind.say({ reasoning: 'Let me think', text: 'Hi there' }))
      const whole = await client.models.generateContent({ model, contents: 'Hello', config: thinking })
      assert.deepEqual(said(whole.candidates?.[0]?.content?.parts), ['Let me think', 'Hi there'])
      const parts: Part[] = []
      for await (const chunk of await client.models.generateContentStream({
        model,
        contents: 'Hello',
        config: thinking,
      }))
        parts.push(...(chunk.candidates?.[0]?.content?.parts ?? []))
      assert.deepEqual(said(parts), ['Let me think', 'Hi there'])
    })

    test('calls functions in parallel and sends their results back', async () => {
      for (const streams of [false, true]) {
        upstream.rescript(inTurn(kind, { calls }, { text: 'Cold and warm' }))
        const chat = client.chats.create({
          model,
          config: {
            tools: [{ functionDeclarations: [declaration] }],
            toolConfig: { functionCallingConfig: { mode: FunctionCallingConfigMode.AUTO } },
          },
        })
        const asked: Part[] = []
        if (streams) {
          for await (const chunk of await chat.sendMessageStream({ message: 'Weather?' }))
            asked.push(...(chunk.candidates?.[0]?.content?.parts ?? []))
        } else {
          const answer = await chat.sendMessage({ message: 'Weather?' })
          asked.push(...(answer.candidates?.[0]?.content?.parts ?? []))
        }
        const wanted = asked.flatMap(({ functionCall }) => functionCall ?? [])
        assert.deepEqual(
          wanted.map(({ name, args }) => ({ name, input: args })),
          calls,
        )
        const results = wanted.map(({ id, name, args }) => ({
          functionResponse: {
            ...(id === undefined ? {} : { id }),
            ...(name === undefined ? {} : { name }),
            response: { output: `${String(args?.city)}: 3 degrees` },
          },
        }))
        const answer = await chat.sendMessage({ message: results })
        assert.equal(answer.text, 'Cold and warm')
        const second = upstream.requests.at(-1)?.raw.toString() ?? ''
        assert.match(second, /Oslo: 3 degrees.*Rome: 3 degrees/s)
      }
    })

    test('gets an error when a stream breaks', async () => {
      for (const fault of ['cut', 'error'] as const) {
        upstream.rescript(kind.breakAfter('Hi', fault))
        const stream = await client.models.generateContentStream({ model, contents: 'Hello' })
        const texts: string[] = []
        await assert.rejects(async () => {
          for await (const chunk of stream) texts.push(chunk.text ?? '')
        })
        assert.deepEqual(texts, ['Hi'])
      }
    })

    test('gets a JSON array if it does not request server-sent events', async () => {
      upstream.rescript(kind.say({ text: 'Hi there' }))
      const chunks = await arrayOf(await ask(':streamGenerateContent'))
      assert.equal(
        chunks
          .flatMap(partsOf)
          .map(({ text }) => text)
          .join(''),
        'Hi there',
      )
      assert.equal(chunks.at(-1)?.candidates?.[0]?.finishReason, 'STOP')
      upstream.rescript(kind.breakAfter('Hi', 'error'))
      const broken = await arrayOf(await ask(':streamGenerateContent'))
      assert.equal(broken[0]?.candidates?.[0]?.content?.parts?.[0]?.text, 'Hi')
      assert.equal(typeof broken.at(-1)?.error?.code, 'number')
    })

    test('gets an error in Gemini’s format for an unknown model', async () => {
      await assert.rejects(
        client.models.generateContent({ model: 'nobody', contents: 'Hello' }),
        (error) => error instanceof ApiError && error.status === 404 && /NOT_FOUND/.test(error.message),
      )
    })

    function ask(method: string): Promise<Response> {
      return fetch(`${router.url}/v1beta/models/${encodeURIComponent(model)}${method}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-goog-api-key': 'client-key' },
        body: JSON.stringify({ contents: [{ parts: [{ text: 'Hello' }] }] }),
      })
    }
  })
}

interface Chunk {
  candidates?: { content?: { parts?: Part[] }; finishReason?: string }[]
  error?: { code: number }
}

async function arrayOf(response: Response): Promise<Chunk[]> {
  assert.equal(response.headers.get('content-type'), 'application/json')
  const value: unknown = await response.json()
  assert.ok(Array.isArray(value))
  return value
}

function partsOf({ candidates }: Chunk): Part[] {
  return candidates?.[0]?.content?.parts ?? []
}

/** The reasoning and the text. */
function said(parts: readonly Part[] = []): string[] {
  const joined = (thought: boolean): string =>
    parts.flatMap((part) => ((part.thought === true) === thought ? (part.text ?? []) : [])).join('')
  return [joined(true), joined(false)]
}
