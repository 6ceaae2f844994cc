import type { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { type AnswerDocs, type EndpointDocs, json } from '../../sdk/endpoint-docs.ts'
import type { Operation } from '../../sdk/provider.ts'

/** The operation validates the model, because `model_name` is accepted too. */
const Body = Type.Object({})

/**
 * Requests forwarded unchanged except for the model's name. Sources: vLLM documentation, "OpenAI-Compatible Server"
 * (rerank, score, tokenize); OpenAI API reference, "Audio" and "Images".
 */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  for (const { operation, paths, small, ...about } of operations) {
    const docs: EndpointDocs = { tag: 'Forwarded', operations: [operation], ...about }
    for (const path of pathsOf(paths)) {
      app.post(path, { schema: { body: Body }, config: { dialect: 'openai', docs } }, (request, reply) =>
        small
          ? app.operations.forward(operation, request, reply)
          : app.operations.pipe(operation, request, reply),
      )
    }
  }

  app.addContentTypeParser('multipart/form-data', (_request, payload: Readable, done) => done(null, payload))
  for (const path of pathsOf(['/audio/transcriptions'])) {
    app.post(path, { config: { dialect: 'openai', docs: uploadDocs } }, (request, reply) =>
      app.operations.upload('transcription', request, reply),
    )
  }

  function pathsOf(paths: readonly string[]): string[] {
    const fixed = paths.flatMap((path) => [path, `/v1${path}`])
    return endpointPaths(app.config.endpointPrefix, { fixed, prefixed: fixed })
  }
}

export default plugin

/** `small`: the response is short JSON and is buffered, so that it can name the model as the client does. */
const operations: readonly ForwardedOperation[] = [
  {
    operation: 'rerank',
    paths: ['/rerank'],
    small: true,
    id: 'rerank',
    summary: 'Rerank documents by relevance to a query',
    answers: [json('The documents with their scores.')],
    example: { model: 'my-reranker', query: 'cats', documents: ['Cats sleep.', 'Rain falls.'] },
  },
  {
    operation: 'score',
    paths: ['/score'],
    small: true,
    id: 'score',
    summary: 'Score pairs of texts',
    answers: [json('The scores.')],
    example: { model: 'my-reranker', text_1: 'cats', text_2: ['Cats sleep.', 'Rain falls.'] },
  },
  {
    operation: 'tokenize',
    paths: ['/tokenize'],
    small: true,
    id: 'tokenize',
    summary: 'Tokenize a text',
    answers: [json('The tokens.')],
    example: { model: 'my-model', prompt: 'Hello' },
  },
  {
    operation: 'detokenize',
    paths: ['/detokenize'],
    small: true,
    id: 'detokenize',
    summary: 'Convert tokens to text',
    answers: [json('The text.')],
    example: { model: 'my-model', tokens: [1, 2, 3] },
  },
  {
    operation: 'speech',
    paths: ['/audio/speech'],
    small: false,
    id: 'createSpeech',
    summary: 'Create speech',
    answers: [{ type: 'audio/*', description: 'The audio, as the server sends it.' }],
    example: { model: 'my-voice', input: 'Hello', voice: 'alloy' },
  },
  {
    operation: 'image',
    paths: ['/images/generations'],
    small: false,
    id: 'createImage',
    summary: 'Create an image',
    answers: [json('The images.')],
    example: { model: 'my-painter', prompt: 'A cat asleep' },
  },
]

const uploadDocs: EndpointDocs = {
  id: 'createTranscription',
  tag: 'Forwarded',
  summary: 'Create a transcription',
  operations: ['transcription'],
  answers: [json('The text, in the format of `response_format`.')],
  form: {
    type: 'multipart/form-data',
    schema: Type.Object({
      model: Type.String(),
      file: Type.Unsafe<string>({ type: 'string', format: 'binary' }),
    }),
  },
}

interface ForwardedOperation {
  operation: Operation
  paths: readonly string[]
  small: boolean
  id: string
  summary: string
  answers: readonly AnswerDocs[]
  example: Record<string, unknown>
}
