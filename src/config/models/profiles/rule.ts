import type { Profile } from '../../../sdk/profile.ts'

/** A profile and the models that it applies to: those of the provider type that match all patterns. */
export interface ProfileRule {
  readonly type: string
  /** Matched against the model's name at the server, in lower case and after its last slash. */
  readonly model?: RegExp
  /** Matched against the host name of the server. */
  readonly host?: RegExp
  readonly profile: Profile
}

/** Additive penalties: OpenAI API reference, "Create chat completion"; vLLM and SGLang, sampling parameters. */
export const penalties = { presence_penalty: [-2, 2], frequency_penalty: [-2, 2] }
/** Lowest `top_p` and repetition penalty of servers that reject 0. */
export const minPositive = 0.01
