import { providerErrors } from '../sdk/checks/provider.ts'
import type { ProviderType } from '../sdk/provider.ts'
import { Registry } from '../sdk/registry.ts'
import { anthropic } from './anthropic.ts'
import { gemini } from './gemini.ts'
import { llamacpp } from './llamacpp.ts'
import { lmstudio } from './lmstudio.ts'
import { mock } from './mock/index.ts'
import { ollama } from './ollama.ts'
import { openai } from './openai.ts'
import { sglang } from './sglang.ts'
import { tgi } from './tgi.ts'
import { vllm } from './vllm.ts'

/** The built-in provider types, in the order of the docs. */
export const providerTypes: readonly ProviderType[] = [
  openai,
  vllm,
  llamacpp,
  lmstudio,
  ollama,
  anthropic,
  gemini,
  sglang,
  tgi,
  mock,
]

/** Creates a registry with the built-in provider types, to which extensions add theirs. */
export function builtInProviders(): Registry<ProviderType> {
  const providers = new Registry<ProviderType>('provider type', providerErrors)
  for (const type of providerTypes) providers.add(type)
  return providers
}
