import OpenAI from 'openai'
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

function openai({ url }: OfficialQuestion): OpenAI {
  return new OpenAI({ apiKey, maxRetries: 0, baseURL: `${url}/v1` })
}

export const chats: OfficialClient = {
  name: 'openai chat completions',
  hasTurns: true,
  finish: 'tool_calls',
  async ask(question) {
    const { model, stream, words, onText } = question
    const body: OpenAI.ChatCompletionCreateParamsNonStreaming = {
      model,
      user: words.user,
      messages: [
        { role: 'system', content: words.system },
        { role: 'user', content: [{ type: 'text', text: words.first }] },
        {
          role: 'assistant',
          content: null,
          tool_calls: [
            { id: callId, type: 'function', function: { name: toolName, arguments: escaped(words.call) } },
          ],
        },
        {
          role: 'tool',
          tool_call_id: callId,
          content: [{ type: 'text', text: escaped(words.result) }],
        },
        { role: 'user', content: words.last },
      ],
      tools: [{ type: 'function', function: { name: toolName, description: words.tool, parameters } }],
    }
    const client = openai(question)
    const { choices, usage } = stream
      ? await client.chat.completions
          .stream({ ...body, stream: true, stream_options: { include_usage: true } }, signalOf(question))
          .on('content', (delta) => onText?.(delta))
          .finalChatCompletion()
      : await client.chat.completions.create(body, signalOf(question))
    const [choice] = choices
    return {
      text: choice?.message.content ?? '',
      calls: (choice?.message.tool_calls ?? []).flatMap((call) =>
        call.type === 'function'
          ? [{ id: call.id, name: call.function.name, input: JSON.parse(call.function.arguments) }]
          : [],
      ),
      finish: choice?.finish_reason,
      usage: [usage?.prompt_tokens, usage?.completion_tokens],
    }
  },
}

export const responses: OfficialClient = {
  name: 'openai responses',
  hasTurns: true,
  finish: 'completed',
  async ask(question) {
    const { model, stream, words, onText } = question
    const body: OpenAI.Responses.ResponseCreateParamsNonStreaming = {
      model,
      instructions: words.system,
      safety_identifier: words.user,
      metadata: { asked_by: words.user },
      input: [
        { role: 'user', content: [{ type: 'input_text', text: words.first }] },
        { type: 'function_call', call_id: callId, name: toolName, arguments: escaped(words.call) },
        {
          type: 'function_call_output',
          call_id: callId,
          output: [{ type: 'input_text', text: escaped(words.result) }],
        },
        { role: 'user', content: words.last },
      ],
      tools: [{ type: 'function', name: toolName, description: words.tool, parameters, strict: false }],
    }
    const client = openai(question)
    const { output, output_text, status, usage } = stream
      ? await client.responses
          .stream({ ...body, stream: true }, signalOf(question))
          .on('response.output_text.delta', ({ delta }) => onText?.(delta))
          .finalResponse()
      : await client.responses.create(body, signalOf(question))
    return {
      text: output_text,
      calls: output.flatMap((item) =>
        item.type === 'function_call'
          ? [{ id: item.call_id, name: item.name, input: JSON.parse(item.arguments) }]
          : [],
      ),
      finish: status,
      usage: [usage?.input_tokens, usage?.output_tokens],
    }
  },
}

export const completions: OfficialClient = {
  name: 'openai completions',
  hasTurns: false,
  finish: 'stop',
  async ask(question) {
    const { model, stream, words, onText } = question
    const body = { model, prompt: prompt(words), user: words.user, max_tokens: 100 }
    const client = openai(question)
    if (!stream) {
      const { choices, usage } = await client.completions.create(body, signalOf(question))
      const [choice] = choices
      return {
        text: choice?.text ?? '',
        calls: [],
        finish: choice?.finish_reason,
        usage: [usage?.prompt_tokens, usage?.completion_tokens],
      }
    }
    let text = ''
    let finish: string | undefined
    let usage: readonly (number | undefined)[] = []
    const chunks = await client.completions.create(
      { ...body, stream: true, stream_options: { include_usage: true } },
      signalOf(question),
    )
    for await (const { choices, usage: counts } of chunks) {
      const [choice] = choices
      text += choice?.text ?? ''
      if (choice?.text) onText?.(choice.text)
      // The protocol defines it as null until the end.
      finish = choice?.finish_reason || finish
      if (counts) usage = [counts.prompt_tokens, counts.completion_tokens]
    }
    // The client ends an aborted stream without an error.
    question.signal?.throwIfAborted()
    return { text, calls: [], finish, usage }
  },
}
