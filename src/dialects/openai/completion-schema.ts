import { Type } from '@sinclair/typebox'
import { OpenaiChatBody } from './schema.ts'

const chat = OpenaiChatBody.properties

const Tokens = Type.Array(Type.Integer({ minimum: 0 }), { minItems: 1 })

/**
 * Body of `POST /v1/completions` as far as the router uses it; whatever else a client sends is let through.
 * Source: OpenAI API reference, "Create completion (legacy)", and the sampling fields of vLLM and LM Studio.
 */
export const OpenaiCompletionBody = Type.Object({
  model: chat.model,
  model_name: chat.model_name,
  prompt: Type.Union(
    [Type.String(), Type.Array(Type.String(), { minItems: 1 }), Tokens, Type.Array(Tokens, { minItems: 1 })],
    { errorMessage: 'a string, a list of strings, or lists of token numbers' },
  ),
  suffix: chat.user,
  echo: chat.stream_options.anyOf[0].properties.include_usage,
  best_of: chat.max_tokens,
  stream: chat.stream,
  stream_options: chat.stream_options,
  temperature: chat.temperature,
  top_p: chat.top_p,
  top_k: chat.top_k,
  min_p: chat.min_p,
  typical_p: chat.typical_p,
  repetition_penalty: chat.repetition_penalty,
  repeat_penalty: chat.repeat_penalty,
  presence_penalty: chat.presence_penalty,
  frequency_penalty: chat.frequency_penalty,
  max_tokens: chat.max_tokens,
  n: chat.n,
  seed: chat.seed,
  stop: chat.stop,
  logit_bias: chat.logit_bias,
  logprobs: chat.top_logprobs,
  user: chat.user,
})
