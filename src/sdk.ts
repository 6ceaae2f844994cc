/**
 * `llm-router/sdk`: all that an extension imports. docs/extending.md has examples and says what stays as it is from one version
 * to the next.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { TProperties, TSchema } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import type { ExchangeRecord } from './relay/exchange.ts'
import type { Dialect } from './sdk/dialect.ts'
import type { ProcessorType } from './sdk/processor.ts'
import type { ProviderType } from './sdk/provider.ts'
import type { Answer, AnswerEvent, Question } from './sdk/question.ts'
import type { Registry } from './sdk/registry.ts'
import type { Strategy } from './sdk/strategy.ts'
import type { Model, Target } from './sdk/target.ts'
import type { TextEndpoint } from './sdk/text-endpoint.ts'

export { type Static, type TSchema, Type } from '@sinclair/typebox'
export type { FastifyReply, FastifyRequest } from 'fastify'
export type { ExchangeRecord } from './relay/exchange.ts'
export * from './sdk/chat.ts'
export type * from './sdk/content.ts'
export type * from './sdk/dialect.ts'
export type * from './sdk/embedding.ts'
export { type AnswerDocs, events, json, lines } from './sdk/endpoint-docs.ts'
export * from './sdk/engine-listings.ts'
export type * from './sdk/engine-signals.ts'
export {
  badRequest,
  type ErrorKind,
  RouterError,
  type RouterErrorDetails,
  upstreamFailed,
} from './sdk/errors.ts'
export type * from './sdk/processor.ts'
export type { Profile } from './sdk/profile.ts'
export type * from './sdk/provider.ts'
export type * from './sdk/question.ts'
export type * from './sdk/registry.ts'
export type * from './sdk/route.ts'
export type * from './sdk/strategy.ts'
export type * from './sdk/target.ts'
export { optional, type SystemPrompt, type TextBody, type TextEndpoint } from './sdk/text-endpoint.ts'
export type * from './sdk/transport.ts'

/** Of this interface, by the rules of semantic versioning; docs/extending.md says what they cover. */
export const sdkVersion = '1.0.0'

/** What the router adds to the Fastify instance that an extension gets. */
export interface ExtensionDecorators {
  readonly strategies: Registry<Strategy>
  readonly providers: Registry<ProviderType>
  readonly dialects: Registry<Dialect>
  readonly processorTypes: Registry<ProcessorType>
  readonly textEndpoints: {
    /** Serves an endpoint at `P/<name>`, `/builtin/<name>` and `P/builtin/<name>`. Throws when a path is taken. */
    add<Fields extends TProperties, Result extends TSchema>(definition: TextEndpoint<Fields, Result>): void
  }
  /** The models of models-config.json, once the router is ready. */
  readonly models: {
    /** In use now; another list after a reload. */
    all(): readonly Model[]
    find(name: string): Model | undefined
    /** Calls back each time that other models have come into use. A target that did not change stays the same object. */
    onChange(listener: (change: { added: readonly Target[]; removed: readonly Target[] }) => void): void
  }
  readonly gateway: {
    /**
     * Asks a model with the rights of the client of this request, and as one request of its limits. Throws a RouterError: a
     * handler that lets it through has its client told, in the client's dialect.
     */
    ask(question: Question, request: FastifyRequest): Promise<Answer>
    /** The same, as the answer is written: throws at the first event what `ask` throws. Ends with its reader. */
    stream(question: Question, request: FastifyRequest): AsyncGenerator<AnswerEvent, void, undefined>
  }
  readonly prompts: {
    /** The prompt with this id; undefined: there is none. */
    find(id: string): { readonly id: string; readonly text: string } | undefined
    /** Fills the placeholders of a text, written `##NAME##`. `missing`: those that have no value. */
    render(template: string, variables: Readonly<Record<string, string>>): { text: string; missing: string[] }
  }
  readonly exchanges: {
    /** Calls back at the one end of every request. */
    onEnd(listener: (record: ExchangeRecord) => void): void
  }
}

/** The Fastify instance that an extension gets; bodies have the types of their TypeBox schemas. */
export type ExtensionApp = Parameters<FastifyPluginAsyncTypebox>[0] & ExtensionDecorators

/** The default export of an extension: a Fastify plugin, which adds to the router before it listens. */
export type Extension = (app: ExtensionApp) => Promise<void> | void

/** Gives an extension the types of its parameter, in JavaScript too. */
export function defineExtension(extension: Extension): Extension {
  return extension
}
