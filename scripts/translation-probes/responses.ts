import { definition, type ProbedDialect, pdf, png, reasons, schema } from './probe.ts'

const responsesTools = { tools: [{ type: 'function', ...definition }] }
const asked = { type: 'message', role: 'user', content: 'Hello' }
const called = [
  asked,
  { type: 'function_call', call_id: 'call_1', name: 'get_weather', arguments: '{"city":"Oslo"}' },
  { type: 'function_call_output', call_id: 'call_1', output: '3' },
]

/** Source: OpenAI API reference, "Create a model response". */
export const responses: ProbedDialect = {
  dialect: 'responses',
  title: 'OpenAI Responses',
  plain: { model: 'm', input: 'Hello' },
  own: {
    model: 'replaced by the server’s name of the model',
    previous_response_id: 'the router stores previous turns and sends them along; unknown ids are 400',
  },
  probes: [
    { field: 'model_name', body: { model_name: 'm' } },
    { field: 'instructions', body: { instructions: 'Be brief' } },
    {
      field: 'input: messages',
      body: {
        input: [
          asked,
          { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'Hi' }] },
          asked,
        ],
      },
    },
    {
      field: 'input: image',
      body: {
        input: [
          {
            ...asked,
            content: [
              { type: 'input_text', text: 'Hello' },
              { type: 'input_image', image_url: `data:image/png;base64,${png}` },
            ],
          },
        ],
      },
    },
    {
      field: 'input: file',
      body: {
        input: [
          {
            ...asked,
            content: [
              { type: 'input_text', text: 'Hello' },
              { type: 'input_file', filename: 'a.pdf', file_data: `data:application/pdf;base64,${pdf}` },
            ],
          },
        ],
      },
    },
    { field: 'input: function_call, function_call_output', body: { input: called } },
    {
      field: 'input: reasoning',
      body: {
        input: [
          asked,
          { type: 'reasoning', summary: [{ type: 'summary_text', text: 'Hm' }] },
          ...called.slice(1),
        ],
      },
      beside: { input: called },
    },
    { field: 'input: web_search_call', body: { input: [{ type: 'web_search_call', id: 'ws_1' }, asked] } },
    { field: 'stream', body: { stream: true } },
    {
      field: 'stream_options',
      body: { stream: true, stream_options: { include_obfuscation: false } },
      beside: { stream: true },
    },
    { field: 'max_output_tokens', body: { max_output_tokens: 100 } },
    { field: 'temperature', body: { temperature: 0.5 } },
    { field: 'top_p', body: { top_p: 0.5 } },
    { field: 'top_logprobs', body: { top_logprobs: 2 } },
    { field: 'tools', body: responsesTools },
    { field: 'tools: custom', body: { tools: [{ type: 'custom', name: 'free' }] } },
    { field: 'tools: run by OpenAI', body: { tools: [{ type: 'web_search' }] } },
    {
      field: 'tool_choice: required',
      body: { ...responsesTools, tool_choice: 'required' },
      beside: responsesTools,
    },
    {
      field: 'tool_choice: by name',
      body: { ...responsesTools, tool_choice: { type: 'function', name: 'get_weather' } },
      beside: responsesTools,
    },
    {
      field: 'parallel_tool_calls',
      body: { ...responsesTools, parallel_tool_calls: false },
      beside: responsesTools,
    },
    { field: 'text: format', body: { text: { format: { type: 'json_schema', name: 'city', schema } } } },
    { field: 'prompt_cache_key', body: { prompt_cache_key: 'k' } },
    { field: 'text: verbosity', body: { text: { verbosity: 'low' } } },
    {
      field: 'reasoning: effort',
      body: { reasoning: { effort: 'high' }, max_output_tokens: 16_000 },
      beside: { max_output_tokens: 16_000 },
    },
    { field: 'reasoning: summary', body: { reasoning: { summary: 'auto' } } },
    { field: 'include: logprobs', body: { include: ['message.output_text.logprobs'] } },
    { field: 'include: other', body: { include: ['file_search_call.results'] } },
    { field: 'store', body: { store: false } },
    { field: 'conversation', body: { conversation: 'conv_1' } },
    { field: 'prompt', body: { prompt: { id: 'p' } } },
    { field: 'background', body: { background: true } },
    { field: 'truncation', body: { truncation: 'auto' } },
    { field: 'metadata', body: { metadata: { a: 'b' } } },
    { field: 'user', body: { user: 'u1' } },
    { field: 'any other field', body: { unheard_of: 1 } },
  ],
  silent: {
    model_name: reasons.older,
    stream_options: reasons.answering,
    store: reasons.answering,
    'reasoning: summary': 'reasoning is always returned as a summary',
    metadata: 'it is returned in the response',
    user: reasons.user,
    prompt_cache_key: 'engines manage their prompt caches without a key; it does not affect the response',
  },
}
