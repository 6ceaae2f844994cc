import Anthropic from '@anthropic-ai/sdk'
import { type Content, FunctionCallingConfigMode, GoogleGenAI, Type } from '@google/genai'
import { type Message, Ollama } from 'ollama'
import { chats, completions, responses } from './official-openai.ts'
import {
  apiKey,
  callId,
  escaped,
  type OfficialClient,
  type OfficialQuestion,
  parameters,
  prompt,
  signalOf,
  toolName,
} from './official-question.ts'

const anthropic: OfficialClient = {
  name: 'anthropic',
  hasTurns: true,
  finish: 'tool_use',
  async ask(question) {
    const { url, model, stream, words, onText } = question
    const client = new Anthropic({ apiKey, maxRetries: 0, baseURL: url })
    const body: Anthropic.MessageCreateParamsNonStreaming = {
      model,
      max_tokens: 100,
      system: [{ type: 'text', text: words.system }],
      metadata: { user_id: words.user },
      messages: [
        { role: 'user', content: words.first },
        {
          role: 'assistant',
          content: [{ type: 'tool_use', id: callId, name: toolName, input: words.call }],
        },
        {
          role: 'user',
          content: [
            {
              type: 'tool_result',
              tool_use_id: callId,
              content: [{ type: 'text', text: escaped(words.result) }],
            },
            { type: 'text', text: words.last },
          ],
        },
      ],
      tools: [{ name: toolName, description: words.tool, input_schema: parameters }],
    }
    const { content, stop_reason, usage } = stream
      ? await client.messages
          .stream({ ...body, stream: true }, signalOf(question))
          .on('text', (delta) => onText?.(delta))
          .finalMessage()
      : await client.messages.create(body, signalOf(question))
    return {
      text: content.map((block) => (block.type === 'text' ? block.text : '')).join(''),
      calls: content.flatMap((block) => (block.type === 'tool_use' ? [block] : [])),
      finish: stop_reason,
      usage: [usage.input_tokens + (usage.cache_read_input_tokens ?? 0), usage.output_tokens],
    }
  },
}

const gemini: OfficialClient = {
  name: 'google',
  hasTurns: true,
  finish: 'STOP',
  async ask(question) {
    const { url, model, stream, words, onText, signal } = question
    const client = new GoogleGenAI({ apiKey, httpOptions: { baseUrl: url } })
    const contents: Content[] = [
      { role: 'user', parts: [{ text: words.first }] },
      { role: 'model', parts: [{ functionCall: { name: toolName, args: words.call } }] },
      {
        role: 'user',
        parts: [
          { functionResponse: { name: toolName, response: { output: escaped(words.result) } } },
          { text: words.last },
        ],
      },
    ]
    const declaration = {
      name: toolName,
      description: words.tool,
      parameters: { type: Type.OBJECT, properties: { to: { type: Type.STRING } } },
    }
    const request = {
      model,
      contents,
      config: {
        systemInstruction: words.system,
        tools: [{ functionDeclarations: [declaration] }],
        toolConfig: { functionCallingConfig: { mode: FunctionCallingConfigMode.AUTO } },
        ...(signal ? { abortSignal: signal } : {}),
      },
    }
    const chunks = stream
      ? await client.models.generateContentStream(request)
      : [await client.models.generateContent(request)]
    let text = ''
    const calls: { id: string | undefined; name: string | undefined; input: unknown }[] = []
    let finish: string | undefined
    let usage: readonly (number | undefined)[] = []
    for await (const { candidates, usageMetadata } of chunks) {
      const [candidate] = candidates ?? []
      for (const part of candidate?.content?.parts ?? []) {
        if (part.text) onText?.(part.text)
        text += part.text ?? ''
        const { functionCall: call } = part
        if (call) calls.push({ id: call.id, name: call.name, input: call.args })
      }
      finish = candidate?.finishReason ?? finish
      if (usageMetadata) usage = [usageMetadata.promptTokenCount, usageMetadata.candidatesTokenCount]
    }
    return { text, calls, finish, usage }
  },
}

const ollamaChat: OfficialClient = {
  name: 'ollama chat',
  hasTurns: true,
  finish: 'stop',
  async ask(question) {
    const { url, model, stream, words } = question
    const messages: Message[] = [
      { role: 'system', content: words.system },
      { role: 'user', content: words.first },
      {
        role: 'assistant',
        content: '',
        tool_calls: [{ function: { name: toolName, arguments: words.call } }],
      },
      { role: 'tool', tool_name: toolName, content: escaped(words.result) },
      { role: 'user', content: words.last },
    ]
    const tools = [{ type: 'function', function: { name: toolName, description: words.tool, parameters } }]
    const client = new Ollama({ host: url })
    const lines = stream
      ? await abortable(await client.chat({ model, messages, tools, stream: true }), question)
      : [await client.chat({ model, messages, tools })]
    let text = ''
    const calls: { id: string | undefined; name: string; input: unknown }[] = []
    let finish: string | undefined
    let usage: readonly number[] = []
    for await (const line of lines) {
      text += line.message.content
      if (line.message.content !== '') question.onText?.(line.message.content)
      for (const { function: called } of line.message.tool_calls ?? [])
        calls.push({ id: undefined, name: called.name, input: called.arguments })
      if (!line.done) continue
      finish = line.done_reason
      usage = [line.prompt_eval_count, line.eval_count]
    }
    return { text, calls, finish, usage }
  },
}

const ollamaGenerate: OfficialClient = {
  name: 'ollama generate',
  hasTurns: false,
  finish: 'stop',
  async ask(question) {
    const { url, model, stream, words } = question
    const request = { model, prompt: prompt(words), system: words.system }
    const client = new Ollama({ host: url })
    const lines = stream
      ? await abortable(await client.generate({ ...request, stream: true }), question)
      : [await client.generate(request)]
    let text = ''
    let finish: string | undefined
    let usage: readonly number[] = []
    for await (const line of lines) {
      text += line.response ?? ''
      if (line.response) question.onText?.(line.response)
      if (!line.done) continue
      finish = line.done_reason
      usage = [line.prompt_eval_count, line.eval_count]
    }
    return { text, calls: [], finish, usage }
  },
}

/** Ollama's client accepts no signals; its streams have `abort` instead. */
function abortable<Lines extends { abort(): void }>(lines: Lines, { signal }: OfficialQuestion): Lines {
  signal?.addEventListener('abort', () => lines.abort(), { once: true })
  return lines
}

/** The official clients of all dialects. */
export const officialClients: readonly OfficialClient[] = [
  chats,
  responses,
  completions,
  anthropic,
  gemini,
  ollamaChat,
  ollamaGenerate,
]
