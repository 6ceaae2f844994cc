import fp from 'fastify-plugin'
import type { Dialect } from '../core/dialect.ts'
import type { ProviderType } from '../core/provider.ts'
import { Registry } from '../core/registry.ts'
import type { Strategy } from '../core/strategy.ts'
import { ollama as ollamaDialect } from '../dialects/ollama/index.ts'
import { openai as openaiDialect } from '../dialects/openai/index.ts'
import { lmstudio } from '../providers/lmstudio.ts'
import { mock } from '../providers/mock.ts'
import { ollama } from '../providers/ollama.ts'
import { openai } from '../providers/openai.ts'
import { vllm } from '../providers/vllm.ts'
import { balanced } from '../strategies/balanced.ts'

declare module 'fastify' {
  interface FastifyInstance {
    dialects: Registry<Dialect>
    providers: Registry<ProviderType>
    strategies: Registry<Strategy>
  }
}

/** What the router speaks, calls and chooses by. Extensions add to the same registries. */
export default fp(
  (app, _options, done) => {
    const dialects = new Registry<Dialect>('dialect')
    for (const dialect of [openaiDialect, ollamaDialect]) dialects.add(dialect)
    const providers = new Registry<ProviderType>('provider type')
    for (const type of [openai, vllm, lmstudio, ollama, mock]) providers.add(type)
    const strategies = new Registry<Strategy>('strategy')
    strategies.add(balanced)
    app.decorate('dialects', dialects)
    app.decorate('providers', providers)
    app.decorate('strategies', strategies)
    done()
  },
  { name: 'registries' },
)
