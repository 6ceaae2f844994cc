import fp from 'fastify-plugin'
import { anthropic as anthropicDialect } from '../dialects/anthropic/index.ts'
import { ollamaGenerate } from '../dialects/ollama/generate.ts'
import { ollama as ollamaDialect } from '../dialects/ollama/index.ts'
import { openaiCompletion } from '../dialects/openai/completion.ts'
import { openai as openaiDialect } from '../dialects/openai/index.ts'
import { responses as responsesDialect } from '../dialects/responses/index.ts'
import { anthropic } from '../providers/anthropic.ts'
import { llamacpp } from '../providers/llamacpp.ts'
import { lmstudio } from '../providers/lmstudio.ts'
import { mock } from '../providers/mock/index.ts'
import { ollama } from '../providers/ollama.ts'
import { openai } from '../providers/openai.ts'
import { vllm } from '../providers/vllm.ts'
import type { Dialect } from '../sdk/dialect.ts'
import type { ProviderType } from '../sdk/provider.ts'
import { Registry } from '../sdk/registry.ts'
import type { Strategy } from '../sdk/strategy.ts'
import { adaptive } from '../strategies/adaptive.ts'
import { balanced } from '../strategies/balanced.ts'
import { dynamicWeighted } from '../strategies/dynamic-weighted.ts'
import { firstAvailable, firstAvailableOptim } from '../strategies/first-available.ts'
import { leastBusy } from '../strategies/least-busy.ts'
import { weighted } from '../strategies/weighted.ts'

declare module 'fastify' {
  interface FastifyInstance {
    dialects: Registry<Dialect>
    providers: Registry<ProviderType>
    strategies: Registry<Strategy>
  }
}

/** Built-in dialects, provider types and strategies. Extensions add to the same registries. */
export default fp(
  (app, _options, done) => {
    const dialects = new Registry<Dialect>('dialect')
    for (const dialect of [
      openaiDialect,
      ollamaDialect,
      anthropicDialect,
      responsesDialect,
      openaiCompletion,
      ollamaGenerate,
    ])
      dialects.add(dialect)
    const providers = new Registry<ProviderType>('provider type')
    for (const type of [openai, vllm, llamacpp, lmstudio, ollama, anthropic, mock]) providers.add(type)
    const strategies = new Registry<Strategy>('strategy')
    for (const strategy of [balanced, weighted, dynamicWeighted]) strategies.add(strategy)
    for (const strategy of [firstAvailable, firstAvailableOptim]) strategies.add(strategy)
    for (const strategy of [leastBusy, adaptive]) strategies.add(strategy)
    app.decorate('dialects', dialects)
    app.decorate('providers', providers)
    app.decorate('strategies', strategies)
    done()
  },
  { name: 'registries' },
)
