import { documents, list, type Meaning, nothing, number, object, parsed, text } from './meaning.ts'

/** One question, independent of any dialect. */
export interface Question {
  prompt: string
  maxTokens: number
  /** Offers the tool `get_weather`. */
  tool?: boolean
  think?: boolean
  schema?: object
  logprobs?: boolean
  /** Turns before the prompt: a question, its answer, and a system turn. */
  laterSystem?: string
}

export interface Dialect {
  name: string
  path(model: string, stream: boolean): string
  /** Undefined if the dialect cannot express this. */
  body(question: Question, model: string, stream: boolean): object | undefined
  whole(answer: unknown): Meaning
  streamed(stream: string): Meaning
}

const weather = {
  name: 'get_weather',
  description: 'w',
  schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
}
const ends: Record<string, string> = {
  stop: 'stop',
  end_turn: 'stop',
  completed: 'stop',
  STOP: 'stop',
  length: 'length',
  max_tokens: 'length',
  incomplete: 'length',
  MAX_TOKENS: 'length',
  tool_calls: 'tools',
  tool_use: 'tools',
}

function endOf(reason: unknown, calls: readonly unknown[]): string {
  const end = ends[text(reason)] ?? text(reason)
  // Ollama, Gemini and the Responses API have no field for it.
  return end === 'stop' && calls.length > 0 ? 'tools' : end
}

function turnsOf({ prompt, laterSystem }: Question): { role: string; content: string }[] {
  const asked = { role: 'user', content: prompt }
  if (laterSystem === undefined) return [asked]
  const said = { role: 'assistant', content: 'Hello!' }
  return [{ role: 'user', content: 'hello' }, said, { role: 'system', content: laterSystem }, asked]
}

/** Joins the parts of one response, as a client does with a stream. */
function joined(parts: readonly Meaning[]): Meaning {
  const all = nothing()
  for (const part of parts) {
    all.text += part.text
    all.thought += part.thought
    all.calls.push(...part.calls)
    all.tokens.push(...part.tokens)
    all.end = part.end || all.end
    all.promptTokens = part.promptTokens || all.promptTokens
    all.outputTokens = part.outputTokens || all.outputTokens
  }
  return all
}

const openai: Dialect = {
  name: 'chat completions',
  path: () => '/v1/chat/completions',
  body: (question, model, stream) => ({
    model,
    stream,
    messages: turnsOf(question),
    max_tokens: question.maxTokens,
    temperature: 0,
    seed: 1,
    ...(stream && { stream_options: { include_usage: true } }),
    ...(question.tool && {
      tools: [
        {
          type: 'function',
          function: { name: weather.name, description: weather.description, parameters: weather.schema },
        },
      ],
    }),
    ...(question.schema && {
      response_format: { type: 'json_schema', json_schema: { name: 'x', schema: question.schema } },
    }),
    ...(question.logprobs && { logprobs: true, top_logprobs: 2 }),
  }),
  whole: (answer) => chatMeaning(object(answer), 'message'),
  streamed(stream) {
    const chunks = documents(stream)
    const calls: { name: string; args: string }[] = []
    for (const chunk of chunks)
      for (const call of list(object(list(chunk.choices)[0]?.delta).tool_calls)) {
        const made = calls[number(call.index)] ?? { name: '', args: '' }
        calls[number(call.index)] = made
        made.name += text(object(call.function).name)
        made.args += text(object(call.function).arguments)
      }
    const all = joined(chunks.map((chunk) => chatMeaning(chunk, 'delta')))
    return { ...all, calls: calls.map(({ name, args }) => [name, parsed(args)]) }
  },
}

function chatMeaning(answer: Record<string, unknown>, member: 'message' | 'delta'): Meaning {
  const choice = list(answer.choices)[0] ?? {}
  const said = object(choice[member])
  const calls = member === 'message' ? list(said.tool_calls) : []
  const usage = object(answer.usage)
  return {
    text: text(said.content),
    thought: text(said.reasoning_content ?? said.reasoning),
    calls: calls.map(({ function: called }) => [text(object(called).name), parsed(object(called).arguments)]),
    end: endOf(choice.finish_reason, calls),
    promptTokens: number(usage.prompt_tokens),
    outputTokens: number(usage.completion_tokens),
    tokens: list(object(choice.logprobs).content).map(({ token }) => text(token)),
  }
}

const responses: Dialect = {
  name: 'responses',
  path: () => '/v1/responses',
  body: (question, model, stream) => ({
    model,
    stream,
    input: turnsOf(question),
    max_output_tokens: question.maxTokens,
    temperature: 0,
    ...(question.tool && {
      tools: [
        {
          type: 'function',
          name: weather.name,
          description: weather.description,
          parameters: weather.schema,
        },
      ],
    }),
    ...(question.think && { reasoning: { summary: 'auto' } }),
    ...(question.schema && { text: { format: { type: 'json_schema', name: 'x', schema: question.schema } } }),
    ...(question.logprobs && { include: ['message.output_text.logprobs'], top_logprobs: 2 }),
  }),
  whole: (answer) => responseMeaning(object(answer)),
  streamed(stream) {
    const events = documents(stream)
    const last = events.findLast(({ response }) => response !== undefined)
    const deltas = events.filter(({ type }) => type === 'response.output_text.delta')
    // The pieces joined must equal the last event.
    return {
      ...responseMeaning(object(last?.response)),
      text: deltas.map(({ delta }) => text(delta)).join(''),
    }
  },
}

function responseMeaning({ output, status, usage }: Record<string, unknown>): Meaning {
  const items = list(output)
  const parts = items.filter(({ type }) => type === 'message').flatMap(({ content }) => list(content))
  const thoughts = items
    .filter(({ type }) => type === 'reasoning')
    .flatMap(({ content, summary }) => (list(content).length > 0 ? list(content) : list(summary)))
  const calls = items.filter(({ type }) => type === 'function_call')
  return {
    text: parts.map((part) => text(part.text)).join(''),
    thought: thoughts.map((part) => text(part.text)).join(''),
    calls: calls.map(({ name, arguments: args }) => [text(name), parsed(args)]),
    end: endOf(status, calls),
    promptTokens: number(object(usage).input_tokens),
    outputTokens: number(object(usage).output_tokens),
    tokens: parts.flatMap(({ logprobs }) => list(logprobs).map(({ token }) => text(token))),
  }
}

const anthropic: Dialect = {
  name: 'messages',
  path: () => '/v1/messages',
  body: (question, model, stream) =>
    question.schema || question.logprobs
      ? undefined
      : {
          model,
          stream,
          messages: turnsOf(question),
          max_tokens: question.maxTokens,
          temperature: 0,
          ...(question.think && { max_tokens: 2048, thinking: { type: 'enabled', budget_tokens: 1024 } }),
          ...(question.tool && {
            tools: [{ name: weather.name, description: weather.description, input_schema: weather.schema }],
          }),
        },
  whole: (answer) => messageMeaning(object(answer)),
  streamed(stream) {
    const events = documents(stream)
    const message = { content: [] as Record<string, unknown>[], usage: {}, stop_reason: undefined as unknown }
    const inputs: string[] = []
    for (const event of events) {
      const index = number(event.index)
      const delta = object(event.delta)
      const block = message.content[index] ?? {}
      message.content[index] = block
      Object.assign(message.usage, object(event.usage), object(object(event.message).usage))
      if (event.type === 'content_block_start') Object.assign(block, event.content_block)
      if (delta.type === 'text_delta') block.text = text(block.text) + text(delta.text)
      if (delta.type === 'thinking_delta') block.thinking = text(block.thinking) + text(delta.thinking)
      if (delta.type === 'input_json_delta') {
        inputs[index] = (inputs[index] ?? '') + text(delta.partial_json)
        block.input = inputs[index]
      }
      if (event.type === 'message_delta') message.stop_reason = delta.stop_reason
    }
    return messageMeaning(message)
  },
}

function messageMeaning(message: Record<string, unknown>): Meaning {
  const blocks = list(message.content)
  const of = (type: string) => blocks.filter((block) => block.type === type)
  const usage = object(message.usage)
  const calls = of('tool_use')
  return {
    ...nothing(),
    text: of('text')
      .map((block) => text(block.text))
      .join(''),
    thought: of('thinking')
      .map((block) => text(block.thinking))
      .join(''),
    calls: calls.map(({ name, input }) => [text(name), parsed(input)]),
    end: endOf(message.stop_reason, calls),
    promptTokens: number(usage.input_tokens) + number(usage.cache_read_input_tokens),
    outputTokens: number(usage.output_tokens),
  }
}

const ollama: Dialect = {
  name: 'Ollama chat',
  path: () => '/api/chat',
  body: (question, model, stream) => ({
    model,
    stream,
    messages: turnsOf(question),
    options: { num_predict: question.maxTokens, temperature: 0, seed: 1 },
    ...(question.tool && {
      tools: [
        {
          type: 'function',
          function: { name: weather.name, description: weather.description, parameters: weather.schema },
        },
      ],
    }),
    ...(question.think && { think: true }),
    ...(question.schema && { format: question.schema }),
    ...(question.logprobs && { logprobs: true, top_logprobs: 2 }),
  }),
  whole: (answer) => ollamaMeaning(object(answer)),
  streamed: (stream) => {
    const all = joined(documents(stream).map(ollamaMeaning))
    return { ...all, end: endOf(all.end, all.calls) }
  },
}

function ollamaMeaning(answer: Record<string, unknown>): Meaning {
  const message = object(answer.message)
  const calls = list(message.tool_calls)
  return {
    text: text(message.content),
    thought: text(message.thinking),
    calls: calls.map(({ function: called }) => [text(object(called).name), object(called).arguments]),
    end: endOf(answer.done_reason, calls),
    promptTokens: number(answer.prompt_eval_count),
    outputTokens: number(answer.eval_count),
    tokens: list(answer.logprobs).map(({ token }) => text(token)),
  }
}

const gemini: Dialect = {
  name: 'generateContent',
  path: (model, stream) =>
    `/v1beta/models/${model}:${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`,
  // It has no system turns after the first.
  body: (question) =>
    question.laterSystem
      ? undefined
      : {
          contents: [{ role: 'user', parts: [{ text: question.prompt }] }],
          generationConfig: {
            maxOutputTokens: question.maxTokens,
            temperature: 0,
            seed: 1,
            ...(question.think && { thinkingConfig: { includeThoughts: true } }),
            ...(question.schema && {
              responseMimeType: 'application/json',
              responseJsonSchema: question.schema,
            }),
            ...(question.logprobs && { responseLogprobs: true, logprobs: 2 }),
          },
          ...(question.tool && {
            tools: [
              {
                functionDeclarations: [
                  {
                    name: weather.name,
                    description: weather.description,
                    parametersJsonSchema: weather.schema,
                  },
                ],
              },
            ],
          }),
        },
  whole: (answer) => geminiMeaning(object(answer)),
  streamed: (stream) => {
    const all = joined(documents(stream).map(geminiMeaning))
    return { ...all, end: endOf(all.end, all.calls) }
  },
}

function geminiMeaning({ candidates, usageMetadata }: Record<string, unknown>): Meaning {
  const [candidate = {}] = list(candidates)
  const parts = list(object(candidate.content).parts)
  const usage = object(usageMetadata)
  const calls = parts.flatMap(({ functionCall }) => (functionCall ? [object(functionCall)] : []))
  const texts = (thought: boolean) =>
    parts
      .filter((part) => (part.thought === true) === thought)
      .map((part) => text(part.text))
      .join('')
  return {
    text: texts(false),
    thought: texts(true),
    calls: calls.map(({ name, args }) => [text(name), args]),
    end: endOf(candidate.finishReason, calls),
    promptTokens: number(usage.promptTokenCount),
    outputTokens: number(usage.candidatesTokenCount) + number(usage.thoughtsTokenCount),
    tokens: list(object(candidate.logprobsResult).chosenCandidates).map(({ token }) => text(token)),
  }
}

/** The first is the dialect that every engine supports; the others are compared with it. */
export const dialects = { openai, responses, anthropic, ollama, gemini } satisfies Record<string, Dialect>
