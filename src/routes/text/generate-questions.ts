import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsync } from 'fastify'
import { questionCount } from '../../config/prompt-text.ts'
import { optional } from '../../sdk/text-endpoint.ts'
import { readQuestions } from './questions.ts'

const plugin: FastifyPluginAsync = async (app) => {
  app.textEndpoints.add({
    name: 'generate_questions',
    summary: 'Writes questions that each text answers.',
    fields: {
      texts: Type.Array(Type.String()),
      number_of_questions: optional(Type.Integer({ minimum: 1 })),
    },
    example: { texts: ['Cats sleep by day and hunt at dusk.'], number_of_questions: 2 },
    item: Type.Object({ text: Type.String(), questions: Type.Array(Type.String()) }),
    system: ({ number_of_questions }) => ({
      prompt: 'builtin/system/*/generate-questions',
      variables: (language) => ({ QUESTION_NUM_STR: questionCount(number_of_questions ?? 1, language) }),
    }),
    texts: ({ texts }) => texts,
    result: (answer, text, { number_of_questions }) => ({
      text,
      questions: readQuestions(answer, number_of_questions ?? 1),
    }),
  })
}

export default plugin
