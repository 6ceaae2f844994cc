/** The request of the playground: its body, its response as it arrives, and the same request as code. */

import { apiRoot, send } from '../live.js'

/** The chat request of the form. Throws an Error whose message can be shown if the tools are not JSON. */
export function bodyOf({ system, prompt, temperature, maxTokens, effort, tools, images, stream }, model) {
  const text = { type: 'text', text: prompt }
  const content =
    images.length === 0 ? prompt : [text, ...images.map((url) => ({ type: 'image_url', image_url: { url } }))]
  return {
    model,
    messages: [
      ...(system.trim() === '' ? [] : [{ role: 'system', content: system }]),
      { role: 'user', content },
    ],
    ...(temperature !== '' && { temperature: Number(temperature) }),
    ...(maxTokens !== '' && { max_tokens: Number(maxTokens) }),
    ...(effort !== '' && { reasoning_effort: effort }),
    ...(tools.trim() !== '' && { tools: toolsOf(tools) }),
    ...(stream && { stream: true, stream_options: { include_usage: true } }),
  }
}

function toolsOf(text) {
  try {
    return JSON.parse(text)
  } catch ({ message }) {
    throw new Error(`The tools are not JSON: ${message}`)
  }
}

/** Sends the request and reports all that has arrived so far, after each event. Never rejects. */
export async function ask(body, { stop, onChange }) {
  const since = performance.now()
  const answer = { reasoning: '', content: '', calls: [] }
  let first
  let chunks = 0
  const elapsed = () => performance.now() - since
  const add = ({ content, reasoning_content: thought, reasoning, tool_calls: calls = [] } = {}) => {
    if (content || thought || reasoning || calls.length > 0) {
      first ??= elapsed()
      chunks++
    }
    answer.content += content ?? ''
    answer.reasoning += thought ?? reasoning ?? ''
    for (const [position, { index = position, function: part = {} }] of calls.entries()) {
      const known = answer.calls[index] ?? { name: '', arguments: '' }
      answer.calls[index] = {
        name: known.name + (part.name ?? ''),
        arguments: known.arguments + (part.arguments ?? ''),
      }
    }
  }
  try {
    const response = await send('playground/chat', { method: 'POST', body, stop })
    onChange({
      target: response.headers.get('x-llm-router-target') ?? undefined,
      reason: response.headers.get('x-llm-router-reason') ?? undefined,
    })
    if (body.stream) {
      for await (const { choices: [choice] = [], usage, error } of eventsOf(response)) {
        if (error) throw new Error(error.message ?? String(error))
        if (usage) onChange({ usage })
        if (choice) add(choice.delta)
        const tokens = usage?.completion_tokens ?? chunks
        const rest = elapsed() - (first ?? 0)
        onChange({
          ...answer,
          calls: [...answer.calls],
          ttft: first,
          ...(first !== undefined && tokens > 1 && rest > 0 && { speed: ((tokens - 1) * 1000) / rest }),
        })
      }
    } else {
      const {
        choices: [{ message }],
        usage,
      } = await response.json()
      add(message)
      onChange({ ...answer, usage, ttft: first })
    }
    onChange({ state: 'done', total: elapsed() })
  } catch (error) {
    onChange({
      state: 'failed',
      total: elapsed(),
      error: error.name === 'AbortError' ? 'Stopped.' : error.message,
    })
  }
}

async function* eventsOf(response) {
  let rest = ''
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    const parts = (rest + value).split(/\r?\n\r?\n/)
    rest = parts.pop()
    for (const part of parts) {
      const data = part
        .split(/\r?\n/)
        .filter((line) => line.startsWith('data:'))
        .map((line) => line.slice(5).trim())
        .join('')
      if (data !== '' && data !== '[DONE]') yield JSON.parse(data)
    }
  }
}

/** A program or command that sends the request with a client key. */
export function codeFor(language, body) {
  const base = `${apiRoot}v1`
  const json = JSON.stringify(body, null, 2)
  if (language === 'curl')
    return `curl ${base}/chat/completions \\\n  -H "authorization: Bearer $LLM_ROUTER_KEY" \\\n  -H 'content-type: application/json' \\\n  -d '${json.replaceAll("'", "'\\''")}'`
  if (language === 'Python')
    return `import os\nfrom openai import OpenAI\n\nclient = OpenAI(base_url="${base}", api_key=os.environ["LLM_ROUTER_KEY"])\nanswer = client.chat.completions.create(**${pythonOf(body)})\n${
      body.stream
        ? 'for chunk in answer:\n    if chunk.choices:\n        print(chunk.choices[0].delta.content or "", end="", flush=True)\n'
        : 'print(answer.choices[0].message.content)\n'
    }`
  return `import OpenAI from 'openai'\n\nconst client = new OpenAI({ baseURL: '${base}', apiKey: process.env.LLM_ROUTER_KEY })\nconst answer = await client.chat.completions.create(${json})\n${
    body.stream
      ? "for await (const { choices } of answer) process.stdout.write(choices[0]?.delta.content ?? '')\n"
      : 'console.log(answer.choices[0].message.content)\n'
  }`
}

/** A Python literal. It differs from JSON in `None`, `True` and `False`. */
function pythonOf(value, indent = '') {
  if (value === null) return 'None'
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (typeof value !== 'object') return JSON.stringify(value)
  const inner = `${indent}    `
  const isList = Array.isArray(value)
  const parts = isList
    ? value.map((each) => inner + pythonOf(each, inner))
    : Object.entries(value).map(([name, each]) => `${inner}${JSON.stringify(name)}: ${pythonOf(each, inner)}`)
  const [begin, end] = isList ? '[]' : '{}'
  return parts.length === 0 ? begin + end : `${begin}\n${parts.join(',\n')},\n${indent}${end}`
}
