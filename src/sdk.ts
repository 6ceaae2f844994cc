/**
 * `llm-router/sdk`: the only module that an extension imports. docs/extending.md has examples and says which parts are
 * stable.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { TProperties, TSchema } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import type { ExchangeRecord } from './relay/exchange-record.ts'
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
export type { ExchangeRecord } from './relay/exchange-record.ts'
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
export type * from './sdk/operation.ts'
export type * from './sdk/processor.ts'
export type { Flavour, Profile, SystemTurns } from './sdk/profile.ts'
export type * from './sdk/provider.ts'
export type * from './sdk/question.ts'
export type * from './sdk/registry.ts'
export type * from './sdk/route.ts'
export type * from './sdk/strategy.ts'
export type * from './sdk/target.ts'
export { optional, type SystemPrompt, type TextBody, type TextEndpoint } from './sdk/text-endpoint.ts'
export type * from './sdk/transport.ts'
export type * from './sdk/write-options.ts'

/** Version of this interface (semantic versioning); docs/extending.md describes what it covers. */
export const sdkVersion = '1.0.0'

/** Decorators of the Fastify instance passed to extensions. */
export interface ExtensionDecorators {
  readonly strategies: Registry<Strategy>
  readonly providers: Registry<ProviderType>
  readonly dialects: Registry<Dialect>
  readonly processorTypes: Registry<ProcessorType>
  readonly textEndpoints: {
    /** Serves an endpoint at `P/<name>`, `/builtin/<name>` and `P/builtin/<name>`. Throws if a path is in use. */
    add<Fields extends TProperties, Result extends TSchema>(definition: TextEndpoint<Fields, Result>): void
  }
  /** The models of models-config.json, once the router is ready. */
  readonly models: {
    /** Current models; a reload replaces the list. */
    all(): readonly Model[]
    find(name: string): Model | undefined
    /** Calls `listener` after each change of the models. Unchanged targets stay the same objects. */
    onChange(listener: (change: { added: readonly Target[]; removed: readonly Target[] }) => void): void
  }
  readonly gateway: {
    /**
     * Asks a model with the permissions of the request's client; counts as one request towards its limits. Throws a
     * RouterError, which a handler can leave uncaught: the client gets it in the route's dialect.
     */
    ask(question: Question, request: FastifyRequest): Promise<Answer>
    /** Like `ask`, but streams the answer. Errors of `ask` are thrown at the first event. Cancelled when iteration stops. */
    stream(question: Question, request: FastifyRequest): AsyncGenerator<AnswerEvent, void, undefined>
  }
  readonly prompts: {
    /** Returns the prompt with this id; undefined if there is none. */
    find(id: string): { readonly id: string; readonly text: string } | undefined
    /** Replaces placeholders such as `##NAME##`. `missing`: names without a value, which are left as they are. */
    render(template: string, variables: Readonly<Record<string, string>>): { text: string; missing: string[] }
  }
  readonly exchanges: {
    /** Calls `listener` once at the end of every request. */
    onEnd(listener: (record: ExchangeRecord) => void): void
  }
}

/** The Fastify instance passed to an extension. Request bodies have the types of their TypeBox schemas. */
export type ExtensionApp = Parameters<FastifyPluginAsyncTypebox>[0] & ExtensionDecorators

/** The default export of an extension: a Fastify plugin that runs before the router listens. */
export type Extension = (app: ExtensionApp) => Promise<void> | void

/** Returns the extension unchanged; gives its parameter a type, in JavaScript too. */
export function defineExtension(extension: Extension): Extension {
  return extension
}
