import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import Anthropic from '@anthropic-ai/sdk'
import { GoogleGenAI } from '@google/genai'
import { Ollama } from 'ollama'
import OpenAI from 'openai'
import { isObject } from '../../src/lib/json/read.ts'
import { type AutoRig, startAuto } from '../auto/rig.ts'
import { type Folder, tempFolder, writeIndex } from './rig.ts'

const content = 'How do I write to the holiday desk?'
const messages = [{ role: 'user' as const, content }]
const options = { apiKey: 'none', maxRetries: 0 }
let folder: Folder
let rig: AutoRig

before(async () => {
  folder = tempFolder()
  writeIndex(folder.path, 'docs', ['The holiday desk is holiday@example.com.', 'A poem.'])
  const retrieval = { type: 'retrieval', index: 'docs', embedding_model: 'e', clients: ['*'], limit: 1 }
  rig = await startAuto(
    { models: ['small', 'large'], embedding_model: 'e', examples: { large: ['holiday'], small: ['poem'] } },
    { root: { processors: [retrieval, { type: 'masking' }] }, env: { LLM_ROUTER_INDEX_DIR: folder.path } },
  )
})
after(async () => {
  await rig.close()
  folder.remove()
})

/** The response is complete and names its source, and the upstream request is masked. */
function check(text: string | null | undefined, answer: unknown): void {
  assert.equal(text, 'Fine.')
  const own = isObject(answer) ? answer.llm_router : undefined
  const sources = isObject(own) && Array.isArray(own.sources) ? own.sources : []
  assert.deepEqual(
    sources.map(({ number, title }) => [number, title]),
    [[1, 'Part 0']],
  )
  assert.equal(rig.asked.at(-1), 'large')
  const sent = rig.models.requests.at(-1)?.raw.toString() ?? ''
  assert.match(sent, /The holiday desk is EMAIL_/)
  assert.doesNotMatch(sent, /@example/)
}

test('the OpenAI client reads responses of auto with retrieval and masking, whole and streamed', async () => {
  const client = new OpenAI({ ...options, baseURL: `${rig.router.url}/v1` })
  const body = { model: 'auto', messages }
  const whole = await client.chat.completions.create(body)
  check(whole.choices[0]?.message.content, whole)
  const streamed = await client.chat.completions.stream(body).finalChatCompletion()
  check(streamed.choices[0]?.message.content, streamed)
  const response = await client.responses.create({ model: 'auto', input: content })
  check(response.output_text, response)
  const final = await client.responses.stream({ model: 'auto', input: content }).finalResponse()
  check(final.output_text, final)
})

test('the Anthropic, Google and Ollama clients read responses with sources, whole and streamed', async () => {
  const anthropic = new Anthropic({ ...options, baseURL: rig.router.url })
  const body = { model: 'auto', max_tokens: 100, messages }
  const said = (parts: readonly { type: string; text?: string }[]): string =>
    parts.map((part) => part.text ?? '').join('')
  const whole = await anthropic.messages.create(body)
  check(said(whole.content), whole)
  const streamed = await anthropic.messages.stream(body).finalMessage()
  check(said(streamed.content), streamed)
  const google = new GoogleGenAI({ apiKey: 'none', httpOptions: { baseUrl: rig.router.url } })
  const answer = await google.models.generateContent({ model: 'auto', contents: content })
  assert.equal(answer.text, 'Fine.')
  let all = ''
  for await (const part of await google.models.generateContentStream({ model: 'auto', contents: content }))
    all += part.text ?? ''
  assert.equal(all, 'Fine.')
  const ollama = new Ollama({ host: rig.router.url })
  const chat = await ollama.chat({ model: 'auto', messages })
  check(chat.message.content, chat)
  const lines: unknown[] = []
  let text = ''
  for await (const line of await ollama.chat({ model: 'auto', messages, stream: true })) {
    lines.push(line)
    text += line.message.content
  }
  check(text, lines[0])
  const generated = await ollama.generate({ model: 'auto', prompt: content })
  check(generated.response, generated)
})
