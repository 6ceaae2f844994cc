import fp from 'fastify-plugin'
import { anthropic as anthropicDialect } from '../dialects/anthropic/index.ts'
import { gemini as geminiDialect } from '../dialects/gemini/index.ts'
import { ollamaGenerate } from '../dialects/ollama/generate.ts'
import { ollama as ollamaDialect } from '../dialects/ollama/index.ts'
import { openaiCompletion } from '../dialects/openai/completion/index.ts'
import { openai as openaiDialect } from '../dialects/openai/index.ts'
import { responses as responsesDialect } from '../dialects/responses/index.ts'
import { builtInProviders } from '../providers/index.ts'
import { dialectErrors } from '../sdk/checks/dialect.ts'
import { strategyErrors } from '../sdk/checks/strategy.ts'
import type { Dialect } from '../sdk/dialect.ts'
import type { ProviderType } from '../sdk/provider.ts'
import { Registry } from '../sdk/registry.ts'
import type { Strategy } from '../sdk/strategy.ts'
import { strategies as ownStrategies } from '../strategies/index.ts'

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
    const dialects = new Registry<Dialect>('dialect', dialectErrors)
    for (const dialect of [
      openaiDialect,
      ollamaDialect,
      anthropicDialect,
      responsesDialect,
      geminiDialect,
      openaiCompletion,
      ollamaGenerate,
    ])
      dialects.add(dialect)
    const providers = builtInProviders()
    const strategies = new Registry<Strategy>('strategy', strategyErrors)
    for (const strategy of ownStrategies) strategies.add(strategy)
    app.decorate('dialects', dialects)
    app.decorate('providers', providers)
    app.decorate('strategies', strategies)
    done()
  },
  { name: 'registries' },
)
