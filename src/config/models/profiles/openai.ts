import { type ProfileRule, penalties } from './rule.ts'

const openaiHost = /(^|\.)openai\.(com|azure\.com)$|\.(cognitiveservices|services\.ai)\.azure\.com$/
const openaiModel = /^(ft:)?(gpt-(?!oss)|o\d|chatgpt-|codex-)/

/** Members that reasoning models reject with 400. Source: OpenAI, "Reasoning models" and the page of each model. */
const noSampling = [
  'temperature',
  'top_p',
  'presence_penalty',
  'frequency_penalty',
  'logit_bias',
  'logprobs',
  'top_logprobs',
]
const noSamplingNorStop = [...noSampling, 'stop']

/** Keywords that strict mode rejects. Source: OpenAI, "Structured Outputs", "Supported schemas". */
const openaiStrictKeywords = [
  'minLength',
  'maxLength',
  'uniqueItems',
  'contains',
  'minContains',
  'maxContains',
  'minProperties',
  'maxProperties',
  'patternProperties',
  'propertyNames',
  'unevaluatedItems',
  'unevaluatedProperties',
  'dependentRequired',
  'dependentSchemas',
  'if',
  'then',
  'else',
  'not',
  'allOf',
]

/**
 * OpenAI, error text of functions: "schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top
 * level".
 */
const openaiRootKeywords = ['oneOf', 'anyOf', 'allOf', 'enum', 'not']

/** OpenAI's own models, and limits that OpenAI-compatible servers share with them. */
export const openaiRules: readonly ProfileRule[] = [
  // OpenAI API reference, "Create chat completion": `tools.function.name` (64 characters, a-z, A-Z, 0-9, _ and -), `stop`
  // (up to 4), ids of tool calls (40), `user` (64), the ranges of sampling. Servers that follow it keep the same limits.
  {
    type: 'openai',
    profile: {
      max_tool_name: 64,
      tool_name_characters: 'word',
      max_stops: 4,
      max_call_id: 40,
      max_user: 64,
      ranges: { temperature: [0, 2], top_p: [0, 1], ...penalties, top_logprobs: [0, 20], n: [1, 128] },
    },
  },
  // OpenAI's own models return no reasoning in chat completions, and accept none.
  {
    type: 'openai',
    host: openaiHost,
    profile: {
      thoughts_back: [],
      strict_keywords: openaiStrictKeywords,
      tool_root_keywords: openaiRootKeywords,
    },
  },
  { type: 'openai', model: openaiModel, profile: { thoughts_back: [] } },
  // OpenAI, model pages of GPT-4.1, GPT-4o, GPT-4 and GPT-3.5: no reasoning.
  { type: 'openai', model: /^(ft:)?(gpt-(4|3\.5)|chatgpt-4o)/, profile: { efforts: [] } },
  // OpenAI, "Reasoning models": o-series. o1-mini and o1-preview have no levels; o3 and o4-mini do not accept `stop`.
  { type: 'openai', model: /^o\d/, profile: { efforts: ['low', 'medium', 'high'], unsupported: noSampling } },
  { type: 'openai', model: /^o1-(mini|preview)/, profile: { efforts: [] } },
  { type: 'openai', model: /^o([3-9]|\d\d)/, profile: { unsupported: noSamplingNorStop } },
  // OpenAI, "Using GPT-5": parameter compatibility and the levels of each model.
  {
    type: 'openai',
    model: /^gpt-([5-9]|\d\d)/,
    profile: { unsupported: noSamplingNorStop },
  },
  { type: 'openai', model: /^gpt-5(-|$)/, profile: { efforts: ['minimal', 'low', 'medium', 'high'] } },
  { type: 'openai', model: /^gpt-5\.1(?!\d)/, profile: { efforts: ['none', 'low', 'medium', 'high'] } },
  {
    type: 'openai',
    model: /^gpt-5\.[2-4](?!\d)/,
    profile: { efforts: ['none', 'low', 'medium', 'high', 'xhigh'] },
  },
  { type: 'openai', model: /^gpt-5-pro/, profile: { efforts: ['high'] } },
  // The chat models have no configurable reasoning, and support the same sampling as GPT-4o.
  { type: 'openai', model: /^gpt-5(\.\d+)?-chat/, profile: { efforts: [], unsupported: [] } },
  // OpenAI, error text of GPT-5.4 and later: "Function tools with reasoning_effort are not supported ... in
  // /v1/chat/completions. To use function tools, use /v1/responses or set reasoning_effort to none."
  {
    type: 'openai',
    model: /^gpt-(5\.([4-9]|\d\d)|[6-9]|\d\d)(?!.*-chat)/,
    profile: { tools_with_effort: 'responses' },
  },
]
