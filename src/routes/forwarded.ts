import type { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { endpointPaths } from '../core/endpoint-paths.ts'
import type { Operation } from '../core/provider.ts'

/** The model is checked by the operation, because `model_name` is taken for it too. */
const Body = Type.Object({})

/**
 * Requests that go through as they are, but for the model's name. Sources: vLLM documentation, "OpenAI-Compatible
 * Server" (rerank, score, tokenize); OpenAI API reference, "Audio" and "Images".
 */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const config = { dialect: 'openai' }
  for (const { operation, paths, small } of operations) {
    for (const path of pathsOf(paths)) {
      app.post(path, { schema: { body: Body }, config }, (request, reply) =>
        small
          ? app.operations.forward(operation, request, reply)
          : app.operations.pipe(operation, request, reply),
      )
    }
  }

  app.addContentTypeParser('multipart/form-data', (_request, payload: Readable, done) => done(null, payload))
  for (const path of pathsOf(['/audio/transcriptions'])) {
    app.post(path, { config }, (request, reply) => app.operations.upload('transcription', request, reply))
  }

  function pathsOf(paths: readonly string[]): string[] {
    const fixed = paths.flatMap((path) => [path, `/v1${path}`])
    return endpointPaths(app.config.endpointPrefix, { fixed, prefixed: fixed })
  }
}

export default plugin

/** `small`: the answer is a short JSON, read whole, so that it names the model as the client does. */
const operations: readonly { operation: Operation; paths: readonly string[]; small: boolean }[] = [
  { operation: 'rerank', paths: ['/rerank'], small: true },
  { operation: 'score', paths: ['/score'], small: true },
  { operation: 'tokenize', paths: ['/tokenize'], small: true },
  { operation: 'detokenize', paths: ['/detokenize'], small: true },
  { operation: 'speech', paths: ['/audio/speech'], small: false },
  { operation: 'image', paths: ['/images/generations'], small: false },
]
