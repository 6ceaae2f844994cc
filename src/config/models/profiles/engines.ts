import { minPositive, type ProfileRule, penalties } from './rule.ts'

/** Limits of inference engines and of the Gemini API that apply to all models. */
export const engineRules: readonly ProfileRule[] = [
  // vLLM, environment variables: VLLM_MAX_STOP_STRINGS.
  // vLLM, "Sampling Parameters": `top_p` and the repetition penalty are above 0, `top_k` is -1 or at least 1.
  {
    type: 'vllm',
    profile: {
      max_stops: 4,
      ranges: {
        temperature: [0, 2],
        top_p: [minPositive, 1],
        min_p: [0, 1],
        repetition_penalty: [minPositive, 2],
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
        top_p: [minPositive, 1],
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
        top_p: [minPositive, 0.99],
        frequency_penalty: [-2, 2],
        top_logprobs: [0, 5],
      },
    },
  },
  // Gemini API reference, "GenerationConfig"; "FunctionDeclaration": names have up to 64 letters, digits and a few other
  // characters.
  {
    type: 'gemini',
    profile: {
      max_tool_name: 64,
      tool_name_characters: 'word',
      ranges: { temperature: [0, 2], top_p: [0, 1] },
    },
  },
  // Gemini API, error text of Gemini 2.5 and later: "Penalty is not enabled for this model". Their OpenAI endpoint does not know
  // the members either.
  ...['gemini', 'openai'].map((type) => ({
    type,
    model: /^(models\/|google\/)?gemini-(2\.[5-9]|[3-9]|\d\d)/,
    profile: { unsupported: ['presence_penalty', 'frequency_penalty'] },
  })),
]
