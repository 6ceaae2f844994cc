import { type ProbedDialect, pdf, png, reasons, schema, user } from './probe.ts'

const anthropicTools = { tools: [{ name: 'get_weather', description: 'Weather', input_schema: schema }] }
const use = { type: 'tool_use', id: 'toolu_1', name: 'get_weather', input: { city: 'Oslo' } }
const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: png } }

function turns(assistant: unknown, ...blocks: object[]): Record<string, unknown> {
  return {
    messages: [
      user,
      { role: 'assistant', content: assistant },
      { role: 'user', content: blocks.length > 0 ? blocks : 'And?' },
    ],
  }
}

function said(...blocks: object[]): Record<string, unknown> {
  return { messages: [{ role: 'user', content: [{ type: 'text', text: 'Hello' }, ...blocks] }] }
}

const plainResult = { type: 'tool_result', tool_use_id: 'toolu_1', content: '3' }

/** Source: Anthropic API reference, "Create a Message". */
export const anthropic: ProbedDialect = {
  dialect: 'anthropic',
  title: 'Anthropic Messages',
  plain: { model: 'm', max_tokens: 16_000, messages: [user] },
  own: { model: 'replaced by the server’s name of the model' },
  probes: [
    { field: 'model_name', body: { model_name: 'm' } },
    { field: 'max_tokens', body: { max_tokens: 100 } },
    { field: 'system', body: { system: [{ type: 'text', text: 'Be brief' }] } },
    { field: 'messages: image, base64', body: said(image) },
    {
      field: 'messages: image, address',
      body: said({ type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } }),
    },
    {
      field: 'messages: document',
      body: said({ type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: pdf } }),
    },
    {
      field: 'messages: thinking',
      body: turns([
        { type: 'thinking', thinking: 'Hm', signature: 's' },
        { type: 'text', text: 'Hi' },
      ]),
      beside: turns([{ type: 'text', text: 'Hi' }]),
    },
    {
      field: 'messages: redacted_thinking',
      body: turns([
        { type: 'redacted_thinking', data: 'x' },
        { type: 'text', text: 'Hi' },
      ]),
      beside: turns([{ type: 'text', text: 'Hi' }]),
    },
    { field: 'messages: tool_use, tool_result', body: turns([use], plainResult) },
    {
      field: 'messages: tool_result, is_error',
      body: turns([use], { ...plainResult, is_error: true }),
      beside: turns([use], plainResult),
    },
    {
      field: 'messages: tool_result, image',
      body: turns([use], { ...plainResult, content: [image] }),
      beside: turns([use], plainResult),
    },
    {
      field: 'messages: cache_control',
      body: {
        messages: [
          { role: 'user', content: [{ type: 'text', text: 'Hello', cache_control: { type: 'ephemeral' } }] },
        ],
      },
    },
    { field: 'stream', body: { stream: true } },
    { field: 'stop_sequences', body: { stop_sequences: ['END'] } },
    { field: 'temperature', body: { temperature: 0.5 } },
    { field: 'top_p', body: { top_p: 0.5 } },
    { field: 'top_k', body: { top_k: 40 } },
    { field: 'tools', body: anthropicTools },
    {
      field: 'tools: run by Anthropic',
      body: { tools: [...anthropicTools.tools, { type: 'web_search_20250305', name: 'web_search' }] },
      beside: anthropicTools,
    },
    {
      field: 'tools: none but such',
      body: { tools: [{ type: 'web_search_20250305', name: 'web_search' }] },
    },
    {
      field: 'tool_choice: any',
      body: { ...anthropicTools, tool_choice: { type: 'any' } },
      beside: anthropicTools,
    },
    {
      field: 'tool_choice: tool',
      body: { ...anthropicTools, tool_choice: { type: 'tool', name: 'get_weather' } },
      beside: anthropicTools,
    },
    {
      field: 'tool_choice: disable_parallel_tool_use',
      body: { ...anthropicTools, tool_choice: { type: 'auto', disable_parallel_tool_use: true } },
      beside: { ...anthropicTools, tool_choice: { type: 'auto' } },
    },
    { field: 'thinking: enabled', body: { thinking: { type: 'enabled', budget_tokens: 4096 } } },
    { field: 'thinking: disabled', body: { thinking: { type: 'disabled' } } },
    { field: 'thinking: adaptive', body: { thinking: { type: 'adaptive' } } },
    { field: 'output_config: effort', body: { output_config: { effort: 'high' } } },
    { field: 'output_config: format', body: { output_config: { format: { type: 'json_schema', schema } } } },
    { field: 'output_format', body: { output_format: { type: 'json_schema', schema } } },
    { field: 'metadata', body: { metadata: { user_id: 'u1' } } },
    { field: 'mcp_servers', body: { mcp_servers: [{ type: 'url', url: 'https://example.com', name: 'x' }] } },
    { field: 'any other field', body: { unheard_of: 1 } },
  ],
  silent: {
    model_name: reasons.older,
    metadata: reasons.user,
  },
}
