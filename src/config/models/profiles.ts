import type { Profile } from '../../sdk/profile.ts'

/** Which models a profile is of. All that is given must match; a rule without patterns is of the whole provider type. */
interface ProfileRule {
  readonly type: string
  /** Of the model's name at the server, in lower case and without what precedes its last slash. */
  readonly model?: RegExp
  /** Of the host name of the server. */
  readonly host?: RegExp
  readonly profile: Profile
}

const openaiHost = /(^|\.)openai\.(com|azure\.com)$|\.(cognitiveservices|services\.ai)\.azure\.com$/
const openaiModel = /^(ft:)?(gpt-(?!oss)|o\d|chatgpt-|codex-)/

/** OpenAI, "Reasoning models" and the page of each model: what these models refuse with 400. */
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

/**
 * Anthropic, "Structured outputs", "JSON Schema limitations"; its SDKs move the same keywords into descriptions.
 * Some values of `minItems`, `format` and `additionalProperties` are taken.
 */
const anthropicKeywords = [
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'multipleOf',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'uniqueItems',
  'contains',
  'minContains',
  'maxContains',
  'minProperties',
  'maxProperties',
  'patternProperties',
  'propertyNames',
  'dependentRequired',
  'dependentSchemas',
  'if',
  'then',
  'else',
  'not',
  'oneOf',
  'format',
  'additionalProperties',
]

/** OpenAI, "Structured Outputs", "Supported schemas": what strict mode refuses. */
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

/** Additive penalties: OpenAI API reference, "Create chat completion"; vLLM and SGLang, sampling parameters. */
const penalties = { presence_penalty: [-2, 2], frequency_penalty: [-2, 2] }
/** The least `top_p` and repetition penalty where 0 is refused. */
const least = 0.01

/**
 * What is known of models, as of November 2026. All rules that match are merged in this order, then `profile` of the
 * provider; a model that no rule names gets the rules of its provider type alone.
 */
const profileRules: readonly ProfileRule[] = [
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
  // OpenAI's own models give no thoughts on chat completions, and take none back.
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
  // OpenAI, "Reasoning models": o-series. o1-mini and o1-preview have no levels; o3 and o4-mini take no `stop`.
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
  // The chat models have no reasoning to set, and sample as GPT-4o does.
  { type: 'openai', model: /^gpt-5(\.\d+)?-chat/, profile: { efforts: [], unsupported: [] } },
  // OpenAI, error text of GPT-5.4 and later: "Function tools with reasoning_effort are not supported ... in
  // /v1/chat/completions. To use function tools, use /v1/responses or set reasoning_effort to none."
  {
    type: 'openai',
    model: /^gpt-(5\.([4-9]|\d\d)|[6-9]|\d\d)(?!.*-chat)/,
    profile: { tools_with_effort: 'responses' },
  },
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
  // Mistral AI API reference, "Chat": ids of tool calls have 9 letters and digits, unknown members are refused (422),
  // temperature is at most 1.5.
  {
    type: 'openai',
    host: /(^|\.)mistral\.ai$/,
    profile: { exact_call_id: 9, thoughts_back: [], max_temperature: 1.5 },
  },
  // The chat templates of these models refuse other ids ("Tool call IDs should be alphanumeric strings with length 9").
  ...['openai', 'vllm', 'sglang', 'llamacpp', 'lmstudio', 'tgi'].map((type) => ({
    type,
    model: /^(mistral|mixtral|ministral|codestral|devstral|magistral)/,
    profile: { exact_call_id: 9 },
  })),
  // GroqCloud API reference, "Create chat completion": `reasoning_content` is an unknown property there.
  { type: 'openai', host: /(^|\.)groq\.com$/, profile: { thoughts_back: ['reasoning'] } },
  // OpenRouter, "Reasoning tokens".
  { type: 'openai', host: /(^|\.)openrouter\.ai$/, profile: { thoughts_back: ['reasoning'] } },
  // xAI, "Reasoning": reasoning models refuse penalties and stop sequences; only some take `reasoning_effort`.
  {
    type: 'openai',
    model: /^grok-(4|code)/,
    profile: { unsupported: ['presence_penalty', 'frequency_penalty', 'stop'], efforts: [] },
  },
  { type: 'openai', model: /^grok-3-mini/, profile: { efforts: ['low', 'high'] } },
  // vLLM, environment variables: VLLM_MAX_STOP_STRINGS.
  // vLLM, "Sampling Parameters": `top_p` and the repetition penalty are above 0, `top_k` is -1 or at least 1.
  {
    type: 'vllm',
    profile: {
      max_stops: 4,
      ranges: {
        temperature: [0, 2],
        top_p: [least, 1],
        min_p: [0, 1],
        repetition_penalty: [least, 2],
        ...penalties,
      },
    },
  },
  // SGLang documentation, "Sampling Parameters".
  {
    type: 'sglang',
    profile: {
      ranges: {
        temperature: [0, 2],
        top_p: [least, 1],
        min_p: [0, 1],
        repetition_penalty: [0, 2],
        ...penalties,
      },
    },
  },
  // Text Generation Inference, launcher arguments `--max-stop-sequences` and `--max-top-n-tokens`; error text: "`top_p` must be
  // > 0.0 and < 1.0".
  {
    type: 'tgi',
    profile: {
      max_stops: 4,
      ranges: {
        temperature: [0, 100],
        top_p: [least, 0.99],
        frequency_penalty: [-2, 2],
        top_logprobs: [0, 5],
      },
    },
  },
  // Gemini API reference, "GenerationConfig"; "FunctionDeclaration": names have 64 letters, digits and few other characters.
  {
    type: 'gemini',
    profile: {
      max_tool_name: 64,
      tool_name_characters: 'word',
      ranges: { temperature: [0, 2], top_p: [0, 1] },
    },
  },
  // Anthropic API reference, "Create a Message": `metadata.user_id` (256 characters, no email address); names of tools have
  // 128 characters; error text of tools: "input_schema does not support oneOf, allOf, or anyOf at the top level".
  // "Migrating to Claude 4.5": `temperature` or `top_p`, not both.
  {
    type: 'anthropic',
    profile: {
      max_tool_name: 128,
      max_user: 256,
      user_email: false,
      temperature_with_top_p: false,
      ranges: { temperature: [0, 1], top_p: [0, 1] },
      schema_keywords: anthropicKeywords,
      strict_keywords: anthropicKeywords,
      tool_root_keywords: ['oneOf', 'anyOf', 'allOf'],
    },
  },
  // Claude 3 and 3.5 have no thinking, Claude 3.7 to 4 take both members. Anthropic, "Models overview".
  {
    type: 'anthropic',
    model: /claude-(instant|2|3)/,
    profile: { thinking: 'none', temperature_with_top_p: true },
  },
  { type: 'anthropic', model: /claude-3-7/, profile: { thinking: 'budget' } },
  // Anthropic, "Extended thinking": Claude 4 to 4.5 think by a budget and refuse adaptive thinking.
  {
    type: 'anthropic',
    model: /claude-(opus|sonnet|haiku)-4([-.][0-5])?(-\d{8}|@\d{8}|-latest|-v\d.*|$)/,
    profile: { thinking: 'budget' },
  },
  {
    type: 'anthropic',
    model: /claude-(opus|sonnet)-4([-.]0)?(-\d{8}|@\d{8}|-v\d.*|$)/,
    profile: { temperature_with_top_p: true },
  },
  // Anthropic, "Adaptive thinking" and "Effort": since 4.6. "Prefill Claude's response": refused since 4.6.
  {
    type: 'anthropic',
    model: /claude-(opus|sonnet|haiku)-(4[-.][6-9]|4[-.]\d\d|[5-9]|[1-9]\d)(?!\d)/,
    profile: { thinking: 'adaptive', efforts: ['low', 'medium', 'high', 'max'], prefill: false },
  },
  // Anthropic, "Migrating to Claude Opus 4.7": sampling other than the standard values is refused, and so is a budget;
  // the level xhigh is new.
  {
    type: 'anthropic',
    model: /claude-(opus|sonnet|haiku)-(4[-.][7-9]|4[-.]\d\d|[5-9]|[1-9]\d)(?!\d)/,
    profile: {
      efforts: ['low', 'medium', 'high', 'xhigh', 'max'],
      unsupported: ['temperature', 'top_p', 'top_k'],
    },
  },
  // Anthropic, "Adaptive thinking": these models always think.
  {
    type: 'anthropic',
    model: /claude-(mythos|fable)/,
    profile: {
      thinking: 'always',
      efforts: ['low', 'medium', 'high', 'xhigh', 'max'],
      unsupported: ['temperature', 'top_p', 'top_k'],
      prefill: false,
    },
  },
]

interface ProfiledModel {
  type: string
  upstreamModel: string
  /** The host name of its server; empty where it has none. */
  hostname: string
}

/** The profile of a model at a server: what the rules say of it, and over that what the operator does. */
export function profileFor(model: ProfiledModel, configured: Profile | undefined): Profile {
  const matching = profileRules.filter((rule) => matches(rule, model))
  return Object.assign({}, ...matching.map(({ profile }) => profile), configured)
}

function matches(rule: ProfileRule, { type, upstreamModel, hostname }: ProfiledModel): boolean {
  const name = upstreamModel.toLowerCase().split('/').at(-1) ?? ''
  return (
    rule.type === type &&
    (rule.model?.test(name) ?? true) &&
    (rule.host?.test(hostname.toLowerCase()) ?? true)
  )
}
