import type { ContextOverflow } from '../../sdk/errors.ts'

const maxExamined = 1_024

/** "the model's maximum context", "the physical batch" and so on. */
const bound =
  "(?:(?:the|its|this) )?(?:model(?:'s)? )?(?:(?:maximum|max|available|allowed|physical) )*(?:context|batch|model)"
const tooLong = new RegExp(
  [
    'too large to process', // llama.cpp
    `exceed(?:s|ed)? ${bound}(?: length| size| window| limit)?\\b`,
    `(?:larger|longer|greater) than ${bound} (?:length|size|window)`,
    '(?:max(?:imum)?|model) context length|maximum prompt length',
    'context window (?:exceeds|of this model)|exceed context limit|input tokens exceeded', // MiniMax, OpenAI, Anthropic, Bedrock
    '\\b(?:prompt|input|request) (?:is )?too (?:long|large)\\b',
    'prompt \\(total length \\d+\\) is too long', // vLLM
    'max_tokens must be at least 1, got -', // vLLM: nothing is left behind the prompt
    '`inputs` (?:tokens \\+ `max_new_tokens` must be|must have less than)', // TGI
    'input token count[^.]{0,40}(?:exceeds the maximum number of tokens|but model only supports)', // Gemini, Vertex AI
    'prompt token count of \\d+ exceeds|prompt exceeds max(?:imum)? length', // GitHub, Zhipu
    'range of input length should be|reduce the length of the (?:messages|prompt|input)', // Alibaba, Groq
    'too many (?:total )?(?:input )?(?:tokens\\b.{0,60}cannot exceed|input tokens|text bytes)', // Cohere, Bedrock
    'exceeded model token limit', // Moonshot
  ].join('|'),
  'i',
)

/**
 * Whether an upstream's error text says that the request is too long, whatever its status. llama.cpp responds with 500
 * ("input (40001 tokens) is too large to process", "the request exceeds the available context size"), and so does Ollama
 * for embeddings ("input length exceeds maximum context length"); TGI answers 422, and Bedrock 400.
 */
export function reportsOverflow(text: string | undefined): boolean {
  return text !== undefined && tooLong.test(text.slice(0, maxExamined))
}

/** How servers report the sizes; `total` includes the response. Each uses its own token counts. */
const counts: readonly RegExp[] = [
  // Anthropic
  /exceed context limit: (?<input>\d+) \+ (?<answer>\d+) > (?<context>\d+)/,
  /prompt is too long: (?<input>\d+) tokens > (?<context>\d+)/,
  // OpenAI, vLLM, OpenRouter
  /maximum context length is (?<context>\d+) tokens?.*?requested (?:about )?(?<total>\d+) tokens? \(.*?(?<answer>\d+) in the (?:completion|output)/,
  /is too large: (?<answer>\d+)\. This model's maximum context length is (?<context>\d+) tokens and your request has (?<input>\d+) input/,
  /passed (?<input>\d+) input tokens and requested (?<answer>\d+) output tokens.*?context length is only (?<context>\d+)/,
  /maximum context length is (?<context>\d+) tokens?.*?(?:resulted in|contains at least|request has|requested) (?<input>\d+)/,
  /decoder prompt \(length (?<input>\d+)\) is longer than the maximum model length of (?<context>\d+)/,
  /prompt \(total length (?<input>\d+)\) is too long to fit into the model \(context length (?<context>\d+)\)/,
  // SGLang
  /input \((?<input>\d+) tokens\) is longer than the model's context length \((?<context>\d+)/,
  /context length of (?<context>\d+) tokens.*?: (?<input>\d+) tokens from the input messages and (?<answer>\d+) tokens for the completion/,
  // TGI
  /must be <= (?<context>\d+)\. Given: (?<input>\d+) `inputs` tokens and (?<answer>\d+) `max_new_tokens`/,
  /must have less than (?<context>\d+) tokens\. Given: (?<input>\d+)/,
  // llama.cpp
  /request \((?<input>\d+) tokens\) exceeds the available context size \((?<context>\d+)/,
  // Gemini
  /input token count \(?(?<input>\d+)\)? exceeds the maximum number of tokens allowed \(?(?<context>\d+)/,
  // Vertex AI, GitHub
  /input token count is (?<input>\d+) but model only supports up to (?<context>\d+)/,
  /prompt token count of (?<input>\d+) exceeds the limit of (?<context>\d+)/,
  // Moonshot
  /exceeded model token limit: (?<context>\d+) \(requested: (?<input>\d+)\)/,
  // Bedrock
  /Max input tokens: (?<context>\d+), request input token count: (?<input>\d+)/,
  // Mistral, xAI
  /contains (?<input>\d+) tokens.*?too large for model with (?<context>\d+)/,
  /maximum prompt length is (?<context>\d+) but the request contains (?<input>\d+)/,
]

/** The token counts in an upstream's error text; undefined if there are none. */
export function overflowIn(text: string | undefined): ContextOverflow | undefined {
  if (text === undefined) return undefined
  const examined = text
    .slice(0, maxExamined)
    .replace(/(\d),(?=\d{3}\b)/g, '$1')
    .replace(/\s+/g, ' ')
  for (const pattern of counts) {
    const groups = pattern.exec(examined)?.groups
    if (!groups?.context) continue
    const maxTokens = groups.answer ? Number(groups.answer) : undefined
    const input = groups.input ? Number(groups.input) : Number(groups.total) - (maxTokens ?? 0)
    return {
      contextTokens: Number(groups.context),
      inputTokens: input,
      ...(maxTokens === undefined ? {} : { maxTokens }),
    }
  }
  return undefined
}
