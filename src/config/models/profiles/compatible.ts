import type { ProfileRule } from './rule.ts'

/** Models of other vendors behind OpenAI-compatible servers. */
export const compatibleRules: readonly ProfileRule[] = [
  // DeepSeek API, "Thinking mode": `reasoning_content` of a turn with tool calls must be passed back. "Create chat
  // completion": up to 16 stop sequences.
  { type: 'openai', host: /(^|\.)deepseek\.com$/, profile: { max_stops: 16 } },
  { type: 'openai', model: /^deepseek/, profile: { thoughts_back: ['reasoning_content'] } },
  { type: 'vllm', model: /^deepseek/, profile: { thoughts_back: ['reasoning_content', 'reasoning'] } },
  // Moonshot AI API, "Chat completion" and "Thinking models": the same, temperature up to 1, 5 stop sequences; the
  // sampling of Kimi K2.5 and later is fixed.
  {
    type: 'openai',
    host: /(^|\.)(moonshot\.(ai|cn)|kimi\.com)$/,
    profile: { max_temperature: 1, max_stops: 5, thoughts_back: ['reasoning_content'] },
  },
  { type: 'openai', model: /^(kimi|moonshot)/, profile: { thoughts_back: ['reasoning_content'] } },
  {
    type: 'openai',
    host: /(^|\.)(moonshot\.(ai|cn)|kimi\.com)$/,
    model: /^kimi-k(2\.[5-9]|[3-9])/,
    profile: { unsupported: ['temperature', 'top_p', 'presence_penalty', 'frequency_penalty', 'n'] },
  },
  { type: 'vllm', model: /^kimi/, profile: { thoughts_back: ['reasoning_content', 'reasoning'] } },
  // Mistral AI API reference, "Chat": ids of tool calls have 9 letters and digits, unknown members are rejected (422),
  // temperature is at most 1.5.
  {
    type: 'openai',
    host: /(^|\.)mistral\.ai$/,
    profile: { exact_call_id: 9, thoughts_back: [], max_temperature: 1.5 },
  },
  // The chat templates of these models reject other ids ("Tool call IDs should be alphanumeric strings with length 9").
  ...['openai', 'vllm', 'sglang', 'llamacpp', 'lmstudio', 'tgi'].map((type) => ({
    type,
    model: /^(mistral|mixtral|ministral|codestral|devstral|magistral)/,
    profile: { exact_call_id: 9 },
  })),
  // GroqCloud API reference, "Create chat completion": `reasoning_content` is not a known member.
  { type: 'openai', host: /(^|\.)groq\.com$/, profile: { thoughts_back: ['reasoning'] } },
  // OpenRouter, "Reasoning tokens".
  { type: 'openai', host: /(^|\.)openrouter\.ai$/, profile: { thoughts_back: ['reasoning'] } },
  // xAI, "Reasoning": reasoning models reject penalties and stop sequences; only some accept `reasoning_effort`.
  {
    type: 'openai',
    model: /^grok-(4|code)/,
    profile: { unsupported: ['presence_penalty', 'frequency_penalty', 'stop'], efforts: [] },
  },
  { type: 'openai', model: /^grok-3-mini/, profile: { efforts: ['low', 'high'] } },
]
