import { definition, type ProbedDialect, pdf, png, reasons, schema, user } from './probe.ts'

const call = {
  id: 'call_1',
  type: 'function',
  function: { name: 'get_weather', arguments: '{"city":"Oslo"}' },
}
const chatTools = { tools: [{ type: 'function', function: definition }] }

function chatPart(part: object): Record<string, unknown> {
  return { messages: [{ role: 'user', content: [{ type: 'text', text: 'Hello' }, part] }] }
}

/** Source: OpenAI API reference, "Create chat completion". */
export const openai: ProbedDialect = {
  dialect: 'openai',
  title: 'OpenAI chat completions',
  plain: { model: 'm', messages: [user] },
  own: { model: 'replaced by the server’s name of the model' },
  probes: [
    { field: 'model_name', body: { model_name: 'm' } },
    { field: 'messages: system', body: { messages: [{ role: 'system', content: 'Be brief' }, user] } },
    {
      field: 'messages: system, later',
      body: { messages: [user, { role: 'system', content: 'Be brief' }, user] },
      beside: { messages: [user, user] },
    },
    { field: 'messages: developer', body: { messages: [{ role: 'developer', content: 'Be brief' }, user] } },
    { field: 'messages: name', body: { messages: [{ ...user, name: 'Ann' }] } },
    {
      field: 'messages: image, base64',
      body: chatPart({ type: 'image_url', image_url: { url: `data:image/png;base64,${png}` } }),
    },
    {
      field: 'messages: image, address',
      body: chatPart({ type: 'image_url', image_url: { url: 'https://example.com/a.png' } }),
    },
    {
      field: 'messages: image, detail',
      body: chatPart({
        type: 'image_url',
        image_url: { url: `data:image/png;base64,${png}`, detail: 'low' },
      }),
      beside: chatPart({ type: 'image_url', image_url: { url: `data:image/png;base64,${png}` } }),
    },
    {
      field: 'messages: audio',
      body: chatPart({ type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } }),
    },
    {
      field: 'messages: file',
      body: chatPart({
        type: 'file',
        file: { filename: 'a.pdf', file_data: `data:application/pdf;base64,${pdf}` },
      }),
    },
    { field: 'messages: assistant', body: { messages: [user, { role: 'assistant', content: 'Hi' }, user] } },
    {
      field: 'messages: reasoning_content',
      body: { messages: [user, { role: 'assistant', content: 'Hi', reasoning_content: 'Hm' }, user] },
      beside: { messages: [user, { role: 'assistant', content: 'Hi' }, user] },
    },
    {
      field: 'messages: refusal',
      body: { messages: [user, { role: 'assistant', content: null, refusal: 'No' }, user] },
    },
    {
      field: 'messages: tool_calls, tool',
      body: {
        messages: [
          user,
          { role: 'assistant', content: null, tool_calls: [call] },
          { role: 'tool', tool_call_id: 'call_1', content: '3' },
        ],
      },
    },
    { field: 'stream', body: { stream: true } },
    {
      field: 'stream_options',
      body: { stream: true, stream_options: { include_usage: true } },
      beside: { stream: true },
    },
    { field: 'temperature', body: { temperature: 0.5 } },
    { field: 'temperature over 1', body: { temperature: 1.5 }, beside: { temperature: 1 } },
    { field: 'top_p', body: { top_p: 0.5 } },
    { field: 'top_k', body: { top_k: 40 } },
    { field: 'min_p', body: { min_p: 0.1 } },
    { field: 'typical_p', body: { typical_p: 0.9 } },
    { field: 'repetition_penalty', body: { repetition_penalty: 1.1 } },
    { field: 'repeat_penalty', body: { repeat_penalty: 1.1 } },
    { field: 'presence_penalty', body: { presence_penalty: 0.5 } },
    { field: 'frequency_penalty', body: { frequency_penalty: 0.5 } },
    { field: 'max_tokens', body: { max_tokens: 100 } },
    { field: 'max_completion_tokens', body: { max_completion_tokens: 100 } },
    { field: 'n', body: { n: 2 } },
    { field: 'seed', body: { seed: 7 } },
    { field: 'stop', body: { stop: ['END'] } },
    { field: 'logit_bias', body: { logit_bias: { '50256': -100 } } },
    { field: 'logprobs', body: { logprobs: true } },
    { field: 'top_logprobs', body: { logprobs: true, top_logprobs: 2 } },
    { field: 'tools', body: chatTools },
    {
      field: 'tools: strict',
      body: { tools: [{ type: 'function', function: { ...definition, strict: true } }] },
      beside: chatTools,
    },
    {
      field: 'messages: cache_control',
      body: {
        messages: [
          { role: 'user', content: [{ type: 'text', text: 'Hi', cache_control: { type: 'ephemeral' } }] },
        ],
      },
    },
    { field: 'prompt_cache_key', body: { prompt_cache_key: 'k' } },
    { field: 'verbosity', body: { verbosity: 'low' } },
    { field: 'tools: custom', body: { tools: [{ type: 'custom', custom: { name: 'free' } }] } },
    { field: 'tool_choice: none', body: { ...chatTools, tool_choice: 'none' }, beside: chatTools },
    { field: 'tool_choice: required', body: { ...chatTools, tool_choice: 'required' }, beside: chatTools },
    {
      field: 'tool_choice: by name',
      body: { ...chatTools, tool_choice: { type: 'function', function: { name: 'get_weather' } } },
      beside: chatTools,
    },
    { field: 'parallel_tool_calls', body: { ...chatTools, parallel_tool_calls: false }, beside: chatTools },
    { field: 'functions', body: { functions: [definition] } },
    {
      field: 'function_call',
      body: { functions: [definition], function_call: { name: 'get_weather' } },
      beside: { functions: [definition] },
    },
    { field: 'response_format: json_object', body: { response_format: { type: 'json_object' } } },
    {
      field: 'response_format: json_schema',
      body: { response_format: { type: 'json_schema', json_schema: { name: 'city', schema } } },
    },
    {
      field: 'reasoning_effort',
      body: { reasoning_effort: 'high', max_tokens: 16_000 },
      beside: { max_tokens: 16_000 },
    },
    { field: 'reasoning_effort: none', body: { reasoning_effort: 'none' } },
    { field: 'user', body: { user: 'u1' } },
    { field: 'options (Ollama’s)', body: { options: { num_ctx: 8192 } } },
    { field: 'keep_alive (Ollama’s)', body: { keep_alive: '5m' } },
    { field: 'think (Ollama’s)', body: { think: true, max_tokens: 16_000 }, beside: { max_tokens: 16_000 } },
    { field: 'format (Ollama’s)', body: { format: schema } },
    { field: 'metadata', body: { metadata: { a: 'b' } } },
    { field: 'store', body: { store: true } },
    { field: 'modalities', body: { modalities: ['text', 'audio'] } },
    { field: 'any other field', body: { unheard_of: 1 } },
  ],
  silent: {
    model_name: reasons.older,
    stream_options: reasons.answering,
    user: reasons.user,
    metadata: reasons.bookkeeping,
    store: reasons.bookkeeping,
    prompt_cache_key: 'engines manage their prompt caches without a key; it does not affect the response',
  },
}
