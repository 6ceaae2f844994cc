import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ApiError } from '@google/genai'
import { keysFile } from '../../helpers/keys-file.ts'
import { messages } from '../../helpers/messages.ts'
import { modelsConfig } from '../../helpers/models-config.ts'
import { startRouter } from '../../helpers/router.ts'
import { openaiStream, type ScriptedUpstream, startUpstream } from '../../helpers/scripted-upstream.ts'
import { geminiEvent, geminiText } from '../gemini-answers.ts'
import { contents, geminiRig, json } from './client-rig.ts'

describe('a Gemini client', () => {
  const rig = geminiRig()
  const { lastBody, send } = rig

  test('exchanges bytes unchanged with a Gemini server, except for the model in the path', async () => {
    const body = `{ "contents" : [{"parts":[{"text":"Gr\\u00fc\u00df"}]}], "unheardOf": 12345678901234567890 }`
    const answer = `{"candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}], "big": 12345678901234567890}`
    rig.upstream.rescript({ kind: 'reply', body: answer })
    const whole = await send('/v1beta/models/team/own:1b:generateContent', body)
    assert.equal(await whole.text(), answer)
    assert.equal(rig.upstream.requests.at(-1)?.raw.toString(), body)
    assert.equal(rig.upstream.requests.at(-1)?.url, '/v1beta/models/gemini-2.5-flash:generateContent')
    const pieces = [
      geminiEvent({ candidates: [{ content: { parts: [{ text: 'Hi', thoughtSignature: 'c2ln' }] } }] }),
      geminiEvent({ candidates: [{ content: { parts: [{ text: '' }] }, finishReason: 'STOP' }] }),
    ]
    rig.upstream.rescript({
      kind: 'stream',
      pieces: [pieces.join('').slice(0, 50), pieces.join('').slice(50)],
    })
    const streamed = await send('/v1/models/team%2Fown:1b:streamGenerateContent?alt=sse', body)
    assert.equal(streamed.headers.get('content-type'), 'text/event-stream')
    assert.equal(await streamed.text(), pieces.join(''))
    assert.equal(rig.upstream.requests.at(-1)?.raw.toString(), body)
    rig.upstream.rescript({ kind: 'stream', pieces })
    const list = await send('/v1beta/models/team%2Fown%3A1b:streamGenerateContent', body)
    const elements = pieces.map((piece) => piece.slice('data: '.length).trim())
    assert.equal(await list.text(), `[${elements.join(',\r\n')}\n]`)
  })

  test('counts tokens with the engine, with a Gemini server, or by estimate', async () => {
    rig.upstream.rescript({ kind: 'reply', body: { count: 17 } })
    assert.equal((await rig.client.models.countTokens({ model: 'small', contents })).totalTokens, 17)
    assert.equal(rig.upstream.requests.at(-1)?.url, '/tokenize')
    rig.upstream.rescript({ kind: 'reply', body: { totalTokens: 18 } })
    assert.equal((await rig.client.models.countTokens({ model: 'team/own:1b', contents })).totalTokens, 18)
    assert.equal(rig.upstream.requests.at(-1)?.url, '/v1beta/models/gemini-2.5-flash:countTokens')
    assert.deepEqual(lastBody(), { contents })
    await send('/v1beta/models/team/own:1b:countTokens', {
      generateContentRequest: { model: 'models/team/own:1b', contents, tools: [] },
    })
    assert.deepEqual(lastBody(), {
      generateContentRequest: { model: 'models/gemini-2.5-flash', contents, tools: [] },
    })
    const estimated = await send('/v1beta/models/lmstudio:countTokens')
    assert.equal(estimated.headers.get('x-llm-router-estimate'), 'true')
    const { totalTokens } = Object(await estimated.json())
    assert.ok(totalTokens > 1)
    const file = { fileData: { fileUri: 'https://example.com/a.png', mimeType: 'image/png' } }
    const withFile = await send('/v1beta/models/lmstudio:countTokens', {
      contents: [{ parts: [{ text: 'Hi' }, file] }],
    })
    const without = await send('/v1beta/models/lmstudio:countTokens', {
      contents: [{ parts: [{ text: 'Hi' }] }],
    })
    const image = Object(await withFile.json()).totalTokens - Object(await without.json()).totalTokens
    assert.ok(image >= 258 && image < 270, `${image} tokens for an image`)
  })

  test('gets embeddings from any upstream, for one input or several', async () => {
    const vectors = [
      [0.5, 0.25],
      [1, 0],
    ]
    rig.upstream.rescript(({ body }) => {
      const inputs = [Object(body).input].flat()
      const data = inputs.map((_input, index) => ({ object: 'embedding', index, embedding: vectors[index] }))
      return { kind: 'reply', body: { object: 'list', data, usage: { prompt_tokens: 2, total_tokens: 2 } } }
    })
    const two = await rig.client.models.embedContent({ model: 'small', contents: ['a', 'b'] })
    assert.deepEqual(
      two.embeddings?.map(({ values }) => values),
      vectors,
    )
    const one = await send('/v1beta/models/small:embedContent', { content: { parts: [{ text: 'a' }] } })
    assert.deepEqual(Object(await one.json()).embedding, { values: vectors[0] })
    rig.upstream.rescript({ kind: 'reply', body: { embedding: { values: [1e-7] } } })
    await send('/v1beta/models/team/own:1b:embedContent', {
      model: 'models/team/own:1b',
      content: { parts: [{ text: 'a' }] },
      taskType: 'RETRIEVAL_QUERY',
    })
    assert.equal(rig.upstream.requests.at(-1)?.url, '/v1beta/models/gemini-2.5-flash:embedContent')
    assert.deepEqual(lastBody(), {
      model: 'models/gemini-2.5-flash',
      content: { parts: [{ text: 'a' }] },
      taskType: 'RETRIEVAL_QUERY',
    })
    rig.upstream.rescript({ kind: 'reply', body: { embeddings: vectors.map((values) => ({ values })) } })
    const own = await rig.client.models.embedContent({ model: 'team/own:1b', contents: ['a', 'b'] })
    assert.equal(own.embeddings?.length, 2)
    assert.equal(rig.upstream.requests.at(-1)?.url, '/v1beta/models/gemini-2.5-flash:batchEmbedContents')
    const { requests } = Object(lastBody())
    assert.deepEqual(
      requests.map((request: { model: string }) => request.model),
      ['models/gemini-2.5-flash', 'models/gemini-2.5-flash'],
    )
  })

  test('lists the models page by page, and gets one by its name', async () => {
    const names: (string | undefined)[] = []
    for await (const { name } of await rig.client.models.list({ config: { pageSize: 2 } })) names.push(name)
    assert.deepEqual(names.toSorted(), [
      'models/claude',
      'models/demo',
      'models/lmstudio',
      'models/small',
      'models/team/own:1b',
    ])
    const model = await rig.client.models.get({ model: 'small' })
    assert.deepEqual([model.name, model.inputTokenLimit], ['models/small', 8192])
    const shared = await fetch(`${rig.router.url}/v1/models`, { headers: { 'x-goog-api-key': 'k' } })
    assert.equal(Object(await shared.json()).models.length, 5)
    await assert.rejects(rig.client.models.get({ model: 'nobody' }), /NOT_FOUND/)
  })

  test("gets errors in Gemini's form", async () => {
    const errorOf = async (path: string, body?: unknown): Promise<[number, string, string]> => {
      const response = await send(path, body)
      const { error } = Object(await response.json())
      assert.equal(error.code, response.status)
      return [response.status, error.status, error.message]
    }
    const [status, word, message] = await errorOf('/v1beta/models/small:generateContent', {})
    assert.deepEqual([status, word], [400, 'INVALID_ARGUMENT'])
    assert.match(message, /'contents' is required/)
    assert.deepEqual((await errorOf('/v1beta/models/small:generateContent', '{')).slice(0, 2), [
      400,
      'INVALID_ARGUMENT',
    ])
    assert.deepEqual((await errorOf('/v1beta/models/small:dance')).slice(0, 2), [404, 'NOT_FOUND'])
    assert.deepEqual((await errorOf('/v1beta/models/small')).slice(0, 2), [404, 'NOT_FOUND'])
    assert.deepEqual((await errorOf('/v1beta/nothing')).slice(0, 2), [404, 'NOT_FOUND'])
    const bad = await errorOf('/v1beta/models/small:generateContent', {
      contents: [{ role: 'x', parts: [] }],
    })
    assert.match(bad[2], /'contents\[0\].role' must be user or model/)
    rig.upstream.rescript({ kind: 'reply', status: 503, body: { error: { message: 'busy' } } })
    await assert.rejects(
      rig.client.models.generateContent({ model: 'small', contents }),
      (error) => error instanceof ApiError && error.status === 503 && /UNAVAILABLE/.test(error.message),
    )
  })

  test('may not put its key into the URL, where proxies would log it', async () => {
    for (const path of ['small:generateContent', 'small:streamGenerateContent', 'small:countTokens']) {
      const refused = await send(`/v1beta/models/${path}?key=SECRET-KEY&alt=sse`)
      assert.equal(refused.status, 400)
      const text = await refused.text()
      assert.match(text, /x-goog-api-key/)
      assert.doesNotMatch(text, /SECRET-KEY/)
    }
    for (const path of ['/v1beta/models', '/v1beta/models/small', '/v1/models'])
      assert.equal((await fetch(`${rig.router.url}${path}?key=SECRET-KEY`)).status, 400, path)
    await fetch(`${rig.router.url}/v1beta/nothing?key=SECRET-KEY`)
    await send('/v1beta/models/small:generateContent', { contents }, { 'x-request-id': 'behind' })
    await rig.router.requestLogged('behind')
    assert.doesNotMatch(JSON.stringify(rig.router.logs), /SECRET-KEY/)
  })

  test('can chat with the embedded model, whole and streamed', async () => {
    assert.ok((await rig.client.models.generateContent({ model: 'demo', contents })).text)
    let text = ''
    for await (const chunk of await rig.client.models.generateContentStream({ model: 'demo', contents }))
      text += chunk.text ?? ''
    assert.ok(text)
  })

  test('is identified in the log line of its request', async () => {
    rig.upstream.rescript(openaiStream(['Hi']))
    const logged = rig.router.logged(
      (line) => line.msg === 'request' && line.model === 'small' && line.stream === true,
    )
    for await (const _chunk of await rig.client.models.generateContentStream({ model: 'small', contents }));
    const { model, endpoint, prompt_tokens } = await logged
    assert.deepEqual([model, endpoint, prompt_tokens], ['small', '/v1/models/*', 9])
  })
})

test('a client key is accepted as x-goog-api-key, for the surface gemini and with Gemini’s token limit fields', async (t) => {
  const keys = keysFile([
    { id: 'google', key: 'google-key', surfaces: ['gemini'], max_tokens: 50 },
    { id: 'other', key: 'other-key', surfaces: ['openai'] },
  ])
  t.after(() => keys.remove())
  const router = await startRouter({ env: keys.env, models: modelsConfig({ demo: [{ api_type: 'mock' }] }) })
  t.after(() => router.close())
  const call = (key: Record<string, string>, body: object = {}, query = '') =>
    fetch(`${router.url}/v1beta/models/demo:generateContent${query}`, {
      method: 'POST',
      headers: { ...json, ...key },
      body: JSON.stringify({ contents, ...body }),
    })
  const google = { 'x-goog-api-key': 'google-key' }
  assert.equal((await call(google)).status, 200)
  assert.equal((await call({ 'x-goog-api-key': 'other-key' })).status, 403)
  const none = await call({}, {}, '?key=google-key')
  assert.equal(none.status, 401)
  assert.equal(Object(await none.json()).error.status, 'UNAUTHENTICATED')
  for (const config of [
    { generationConfig: { maxOutputTokens: 51 } },
    { generation_config: { max_output_tokens: 51 } },
    { generationConfig: { maxOutputTokens: 26, candidateCount: 2 } },
  ])
    assert.equal((await call(google, config)).status, 400, JSON.stringify(config))
  assert.equal((await call(google, { generationConfig: { maxOutputTokens: 50 } })).status, 200)
  const elsewhere = await fetch(`${router.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { ...json, ...google },
    body: JSON.stringify({ model: 'demo', messages }),
  })
  assert.equal(elsewhere.status, 403)
  assert.doesNotMatch(JSON.stringify(router.logs), /google-key/)
})

test('a provider of type gemini needs no api_host, because Google’s is the default', async (t) => {
  const router = await startRouter({
    models: modelsConfig({ flash: [{ api_type: 'gemini', api_token: 'k', model_path: 'gemini-3-flash' }] }),
  })
  t.after(() => router.close())
  const [target] = router.app.models.find('flash')?.targets ?? []
  assert.equal(target?.origin, 'https://generativelanguage.googleapis.com')
  assert.equal(target?.paths.chat, '/v1beta/models/gemini-3-flash:generateContent')
  assert.equal(target?.healthPath, '/v1beta/models?pageSize=1')
})

test('a Gemini stream that fails before its first content fails over', async (t) => {
  const broken = await startUpstream({
    kind: 'stream',
    pieces: [geminiEvent({ candidates: [] })],
    ending: 'end',
  })
  const good = await startUpstream(({ url }) =>
    url.includes('stream')
      ? {
          kind: 'stream',
          pieces: [
            geminiEvent({ candidates: [{ content: { parts: [{ text: 'Hi' }] }, finishReason: 'STOP' }] }),
          ],
        }
      : geminiText('Hi'),
  )
  const provider = (upstream: ScriptedUpstream) => ({
    api_type: 'gemini',
    api_host: `${upstream.url}/v1beta`,
  })
  const router = await startRouter({ models: modelsConfig({ m: [provider(broken), provider(good)] }) })
  t.after(async () => {
    await router.close()
    await broken.close()
    await good.close()
  })
  const response = await fetch(`${router.url}/v1beta/models/m:streamGenerateContent?alt=sse`, {
    method: 'POST',
    headers: json,
    body: JSON.stringify({ contents }),
  })
  assert.match(await response.text(), /"text":"Hi"/)
  assert.equal(good.requests.length, 1)
  assert.equal(good.requests[0]?.url, '/v1beta/models/m:streamGenerateContent?alt=sse')
})
