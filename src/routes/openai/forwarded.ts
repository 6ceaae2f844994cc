import { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type TSchema, Type } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import {
  ClassificationSchema,
  CohereEmbeddingsSchema,
  DetokenizedSchema,
  ImagesSchema,
  InfillSchema,
  ModerationSchema,
  PoolingSchema,
  RerankSchema,
  ScoreSchema,
  TokensSchema,
  TranscriptionSchema,
} from '../../dialects/openai/response/schemas.ts'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { isObject } from '../../lib/json/read.ts'
import { type AnswerDocs, type EndpointDocs, events, json } from '../../sdk/endpoint-docs.ts'
import type { Operation } from '../../sdk/operation.ts'

/** No `model` member: the operation validates it, because `model_name` is accepted too. */
const Body = Type.Object({})

/**
 * Requests forwarded unchanged except for the model's name. Sources: vLLM documentation, "OpenAI-Compatible Server"
 * (rerank, score, tokenize, pooling, classify, Cohere's embed); llama.cpp, tools/server/README.md (infill); OpenAI API
 * reference, "Audio", "Images", "Moderations".
 */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  for (const { operation, paths, small, ...about } of operations) {
    const docs: EndpointDocs = { tag: 'Forwarded', operations: [operation], ...about }
    for (const path of pathsOf(paths)) {
      app.post(path, { schema: { body: Body }, config: { dialect: 'openai', docs } }, (request, reply) =>
        small && Object(request.body).stream !== true
          ? app.operations.forward(operation, request, reply)
          : app.operations.pipe(operation, request, reply),
      )
    }
  }

  app.addContentTypeParser('multipart/form-data', (_request, payload: Readable, done) => done(null, payload))
  for (const { operation, path: name, acceptsJson, docs } of uploads) {
    for (const path of pathsOf([name])) {
      app.post(path, { config: { dialect: 'openai', docs } }, (request, reply) =>
        acceptsJson && isObject(request.body) && !(request.body instanceof Readable)
          ? app.operations.pipe(operation, request, reply)
          : app.operations.upload(operation, request, reply),
      )
    }
  }

  function pathsOf(paths: readonly string[]): string[] {
    const fixed = paths.flatMap((path) => (path.startsWith('/v2/') ? [path] : [path, `/v1${path}`]))
    return endpointPaths(app.config.endpointPrefix, { fixed, prefixed: fixed })
  }
}

export default fp(plugin, { name: 'routes/openai/forwarded', encapsulate: true })

/**
 * `small`: unless it is a stream, the response is short JSON and is buffered, so that it can name the model as the client does.
 */
const operations: readonly ForwardedOperation[] = [
  {
    operation: 'rerank',
    // `/v2/rerank` is what Cohere's client calls; engines accept the same body at all three.
    paths: ['/rerank', '/v2/rerank'],
    small: true,
    id: 'rerank',
    summary: 'Rerank documents by relevance to a query',
    answers: [json('The documents with their scores.', RerankSchema)],
    example: { model: 'my-reranker', query: 'cats', documents: ['Cats sleep.', 'Rain falls.'] },
  },
  {
    operation: 'score',
    paths: ['/score'],
    small: true,
    id: 'score',
    summary: 'Score pairs of texts',
    answers: [json('The scores.', ScoreSchema)],
    example: { model: 'my-reranker', text_1: 'cats', text_2: ['Cats sleep.', 'Rain falls.'] },
  },
  {
    operation: 'tokenize',
    paths: ['/tokenize'],
    small: true,
    id: 'tokenize',
    summary: 'Tokenize a text',
    answers: [json('The tokens.', TokensSchema)],
    example: { model: 'my-model', prompt: 'Hello' },
  },
  {
    operation: 'detokenize',
    paths: ['/detokenize'],
    small: true,
    id: 'detokenize',
    summary: 'Convert tokens to text',
    answers: [json('The text.', DetokenizedSchema)],
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
    answers: [json('The images.', ImagesSchema)],
    example: { model: 'my-painter', prompt: 'A cat asleep' },
  },
  {
    operation: 'moderation',
    paths: ['/moderations'],
    small: true,
    id: 'createModeration',
    summary: 'Classify whether a text or an image is harmful',
    answers: [json('The categories with their scores.', ModerationSchema)],
    example: { model: 'my-moderator', input: 'Hello' },
  },
  {
    operation: 'infill',
    paths: ['/infill'],
    small: true,
    id: 'infill',
    summary: 'Complete a text between a prefix and a suffix (llama.cpp)',
    description: 'For models with fill-in-the-middle tokens.',
    answers: [json('The completion, `content`.', InfillSchema), events('With `stream: true`: its chunks.')],
    example: { model: 'my-coder', input_prefix: 'def add(a, b):\n', input_suffix: '\n' },
  },
  {
    operation: 'pooling',
    paths: ['/pooling'],
    small: true,
    id: 'pooling',
    summary: 'Get the pooled output of a model (vLLM)',
    answers: [json('The output; binary data if `encoding_format` asks for it.', PoolingSchema)],
    example: { model: 'my-embedding-model', input: 'Hello' },
  },
  {
    operation: 'classify',
    paths: ['/classify'],
    small: true,
    id: 'classify',
    summary: 'Classify texts (vLLM)',
    answers: [json('The classes with their probabilities.', ClassificationSchema)],
    example: { model: 'my-classifier', input: ['Cats sleep.'] },
  },
  {
    operation: 'cohere_embedding',
    paths: ['/v2/embed'],
    small: true,
    id: 'cohereEmbed',
    summary: "Create embeddings in Cohere's format",
    answers: [json('The vectors by their type.', CohereEmbeddingsSchema)],
    example: {
      model: 'my-embedding-model',
      texts: ['Hello'],
      input_type: 'search_query',
      embedding_types: ['float'],
    },
  },
]

/** Documents a form with a file. */
function formWith(file: string, more: Record<string, TSchema> = {}): NonNullable<EndpointDocs['form']> {
  const binary = Type.Unsafe<string>({ type: 'string', format: 'binary' })
  return {
    type: 'multipart/form-data',
    schema: Type.Object({ model: Type.String(), [file]: binary, ...more }),
  }
}

/** `acceptsJson`: a JSON body is accepted besides a form. */
const uploads: readonly { operation: Operation; path: string; acceptsJson?: boolean; docs: EndpointDocs }[] =
  [
    {
      operation: 'transcription',
      path: '/audio/transcriptions',
      docs: {
        id: 'createTranscription',
        tag: 'Forwarded',
        summary: 'Create a transcription',
        operations: ['transcription'],
        answers: [json('The text, in the format of `response_format`.', TranscriptionSchema)],
        form: formWith('file'),
      },
    },
    {
      operation: 'audio_translation',
      path: '/audio/translations',
      docs: {
        id: 'createTranslation',
        tag: 'Forwarded',
        summary: 'Translate speech into English text',
        operations: ['audio_translation'],
        answers: [json('The text, in the format of `response_format`.', TranscriptionSchema)],
        form: formWith('file'),
      },
    },
    {
      operation: 'image_edit',
      path: '/images/edits',
      acceptsJson: true,
      docs: {
        id: 'createImageEdit',
        tag: 'Forwarded',
        summary: 'Edit images',
        description: 'A JSON body, with images by URL or file id, is forwarded too.',
        operations: ['image_edit'],
        answers: [json('The images.', ImagesSchema)],
        form: formWith('image', { prompt: Type.String() }),
      },
    },
  ]

interface ForwardedOperation {
  operation: Operation
  paths: readonly string[]
  small: boolean
  id: string
  summary: string
  description?: string
  answers: readonly AnswerDocs[]
  example: Record<string, unknown>
}
