import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsync } from 'fastify'
import { questionCount } from '../core/prompt-text.ts'
import { readQuestions } from '../core/questions.ts'
import { optional } from '../core/text-endpoint.ts'

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
