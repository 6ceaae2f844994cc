import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Type } from '@google/genai'
import { anthropicEvent } from '../../helpers/anthropic-answers.ts'
import { geminiEvent } from '../../helpers/gemini-answers.ts'
import { openaiText, openaiToolCall } from '../../helpers/scripted-upstream.ts'
import { contents, geminiRig } from './client-rig.ts'

describe('a Gemini client', () => {
  const rig = geminiRig()
  const { lastBody, send } = rig

  test("can use every field, each translated into the upstream's dialect", async () => {
    await rig.client.models.generateContent({
      model: 'small',
      contents: [
        {
          role: 'user',
          parts: [{ text: 'What is this?' }, { inlineData: { mimeType: 'image/png', data: 'AAAA' } }],
        },
        {
          role: 'model',
          parts: [
            { text: 'Hm', thought: true },
            { functionCall: { name: 'look', args: { at: 'it' } } },
            { functionCall: { name: 'look', args: { at: 'that' } } },
          ],
        },
        {
          role: 'user',
          parts: [
            { functionResponse: { name: 'look', response: { output: 'a cat' } } },
            { functionResponse: { name: 'look', response: { seen: ['a dog'] } } },
          ],
        },
      ],
      config: {
        systemInstruction: 'Be brief',
        tools: [
          {
            functionDeclarations: [
              {
                name: 'look',
                description: 'Looks',
                parameters: {
                  type: Type.OBJECT,
                  properties: { at: { type: Type.STRING, nullable: true, maxLength: '5' } },
                },
              },
            ],
          },
        ],
        temperature: 0.5,
        topP: 0.9,
        topK: 40,
        maxOutputTokens: 100,
        stopSequences: ['END'],
        seed: 1,
        responseMimeType: 'application/json',
        responseSchema: { type: Type.OBJECT, properties: { n: { type: Type.INTEGER } } },
        thinkingConfig: { thinkingBudget: 0 },
      },
    })
    assert.deepEqual(lastBody(), {
      model: 'upstream-model',
      messages: [
        { role: 'system', content: 'Be brief' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is this?' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
          ],
        },
        {
          role: 'assistant',
          content: null,
          reasoning_content: 'Hm',
          reasoning: 'Hm',
          tool_calls: [
            { id: 'call_0', type: 'function', function: { name: 'look', arguments: '{"at":"it"}' } },
            { id: 'call_1', type: 'function', function: { name: 'look', arguments: '{"at":"that"}' } },
          ],
        },
        { role: 'tool', tool_call_id: 'call_0', content: 'a cat' },
        { role: 'tool', tool_call_id: 'call_1', content: '{"seen":["a dog"]}' },
      ],
      stream: false,
      max_tokens: 100,
      temperature: 0.5,
      top_p: 0.9,
      top_k: 40,
      seed: 1,
      stop: ['END'],
      tools: [
        {
          type: 'function',
          function: {
            name: 'look',
            description: 'Looks',
            parameters: {
              type: 'object',
              properties: { at: { type: ['string', 'null'], maxLength: 5 } },
            },
          },
        },
      ],
      response_format: {
        type: 'json_schema',
        json_schema: {
          name: 'response',
          schema: { type: 'object', properties: { n: { type: 'integer' } } },
        },
      },
      reasoning_effort: 'none',
    })
  })

  test('may use snake case for its fields, as Google’s examples do', async () => {
    await send('/v1beta/models/small:generateContent', {
      system_instruction: { parts: { text: 'Be brief' } },
      contents: { parts: { text: 'Hello' } },
      generation_config: { max_output_tokens: 7, stop_sequences: ['END'] },
      tools: [{ function_declarations: [{ name: 'f', parameters_json_schema: { type: 'object' } }] }],
      tool_config: { function_calling_config: { mode: 'ANY', allowed_function_names: ['f'] } },
    })
    const { messages, max_tokens, stop, tools, tool_choice } = lastBody()
    assert.deepEqual(messages, [
      { role: 'system', content: 'Be brief' },
      { role: 'user', content: 'Hello' },
    ])
    assert.deepEqual([max_tokens, stop], [7, ['END']])
    assert.deepEqual(tools, [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }])
    assert.deepEqual(tool_choice, { type: 'function', function: { name: 'f' } })
  })

  test('may send counts of 0, which mean that they are not set', async () => {
    const generationConfig = { candidateCount: 0, maxOutputTokens: 0 }
    await send('/v1beta/models/small:generateContent', {
      contents: [{ parts: [{ text: 'Hello' }] }],
      generationConfig,
    })
    const { n, max_tokens } = lastBody()
    assert.deepEqual([n, max_tokens], [undefined, undefined])
  })

  test('gets an error for an allowed function that it does not declare', async () => {
    const response = await send('/v1beta/models/small:generateContent', {
      contents,
      tools: [{ functionDeclarations: [{ name: 'f' }] }],
      toolConfig: { functionCallingConfig: { mode: 'ANY', allowedFunctionNames: ['f', 'g'] } },
    })
    assert.equal(response.status, 400)
    const { error } = Object(await response.json())
    assert.equal(error.status, 'INVALID_ARGUMENT')
    assert.match(error.message, /allowedFunctionNames.*'g'/)
  })

  test('is informed of dropped fields', async () => {
    const response = await send('/v1beta/models/small:generateContent', {
      contents,
      safetySettings: [{ category: 'HARM_CATEGORY_HARASSMENT', threshold: 'OFF' }],
      tools: [{ googleSearch: {} }],
      generationConfig: { responseModalities: ['TEXT'] },
    })
    assert.equal(response.status, 200)
    assert.deepEqual(response.headers.get('x-llm-router-lost')?.split(', ').sort(), [
      'generationConfig.responseModalities',
      'safetySettings',
      'tools.googleSearch',
    ])
  })

  test('gets a malformed call of a Gemini server unchanged', async () => {
    const answer = { candidates: [{ finishReason: 'MALFORMED_FUNCTION_CALL', index: 0 }] }
    rig.upstream.rescript({ kind: 'reply', body: answer })
    const whole = await send('/v1beta/models/team/own:1b:generateContent')
    assert.deepEqual(await whole.json(), answer)
    rig.upstream.rescript({ kind: 'stream', pieces: [geminiEvent(answer)] })
    const streamed = await send('/v1beta/models/team/own:1b:streamGenerateContent?alt=sse')
    assert.match(await streamed.text(), /MALFORMED_FUNCTION_CALL/)
  })

  test("returns Claude's thinking to Claude together with its call", async () => {
    const answer = {
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model: 'upstream-model',
      content: [
        { type: 'thinking', thinking: 'Hm', signature: 'claudes+own/signature=' },
        { type: 'tool_use', id: 'toolu_1', name: 'look', input: {} },
      ],
      stop_reason: 'tool_use',
      usage: { input_tokens: 1, output_tokens: 1 },
    }
    const { content: blocks, ...head } = answer
    const deltas = [
      { type: 'thinking_delta', thinking: 'Hm' },
      { type: 'signature_delta', signature: 'claudes+own/signature=' },
    ]
    const events = [
      { type: 'message_start', message: { ...head, content: [], stop_reason: null } },
      { type: 'content_block_start', index: 0, content_block: { type: 'thinking', thinking: '' } },
      ...deltas.map((delta) => ({ type: 'content_block_delta', index: 0, delta })),
      { type: 'content_block_stop', index: 0 },
      { type: 'content_block_start', index: 1, content_block: blocks[1] },
      { type: 'content_block_stop', index: 1 },
      { type: 'message_delta', delta: { stop_reason: 'tool_use' }, usage: { output_tokens: 1 } },
      { type: 'message_stop' },
    ]
    const streamed = { kind: 'stream' as const, pieces: events.map(anthropicEvent) }
    const config = {
      tools: [{ functionDeclarations: [{ name: 'look' }] }],
      thinkingConfig: { thinkingBudget: 2048 },
    }
    for (const behaviour of [{ kind: 'reply' as const, body: answer }, streamed]) {
      rig.upstream.rescript(behaviour)
      const turns = []
      const question = { model: 'claude', contents, config }
      if (behaviour.kind === 'reply') {
        turns.push((await rig.client.models.generateContent(question)).candidates?.[0]?.content)
      } else {
        for await (const { candidates } of await rig.client.models.generateContentStream(question))
          turns.push(candidates?.[0]?.content)
      }
      const parts = turns.flatMap((turn) => turn?.parts ?? []).filter(({ text }) => text === undefined)
      assert.deepEqual(
        parts.map(({ functionCall }) => functionCall?.name),
        ['look'],
      )
      rig.upstream.rescript({ kind: 'reply', body: { ...answer, content: [{ type: 'text', text: 'ok' }] } })
      await rig.client.models.generateContent({
        model: 'claude',
        contents: [
          ...contents,
          { role: 'model', parts },
          { role: 'user', parts: [{ functionResponse: { name: 'look', response: { output: 'x' } } }] },
        ],
        config,
      })
      const { messages, thinking } = Object(lastBody())
      assert.deepEqual(messages[1].content[0], answer.content[0])
      assert.deepEqual(thinking, { type: 'enabled', budget_tokens: 2048 })
    }
  })

  test("gets Gemini's finish reasons for the token limit and for filters", async () => {
    const reasonOf = async (finish_reason: string): Promise<unknown> => {
      rig.upstream.rescript(openaiText('Hi', {}, { finish_reason }))
      return (await rig.client.models.generateContent({ model: 'small', contents })).candidates?.[0]
        ?.finishReason
    }
    assert.equal(await reasonOf('length'), 'MAX_TOKENS')
    assert.equal(await reasonOf('content_filter'), 'SAFETY')
    rig.upstream.rescript(openaiToolCall('look', {}))
    const called = await rig.client.models.generateContent({ model: 'small', contents })
    assert.equal(called.candidates?.[0]?.finishReason, 'STOP')
    assert.equal(called.functionCalls?.[0]?.name, 'look')
  })
})
