import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { optional } from '../../sdk/text-endpoint.ts'

const plugin: FastifyPluginAsync = async (app) => {
  app.textEndpoints.add({
    name: 'generate_questions',
    summary: 'Write questions that each text answers.',
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

export default fp(plugin, { name: 'routes/text/generate-questions', encapsulate: true })

/** What may precede a question: bullets, emphasis, and a list number (but not a year, a decimal or a time). */
const lead = /^(?:[>+–—-]\s+|[•·▪◦*]+\s*)*(?:\(?(?:Q(?:uestion)?\s*|Pytanie\s+)?\d{1,3}[.):](?!\d))?[\s*_]*/iu
const emphasis = /(?<![*_])[*_]+$/
const endOfQuestion = /[?？؟]["'”»’)\]]*$/u

/** Returns the lines of a model's answer that are questions, at most `limit`. */
export function readQuestions(answer: string, limit: number): string[] {
  return answer
    .split(/\r\n|[\n\r\u2028]/)
    .map((line) => line.trim().replace(lead, '').replace(emphasis, '').trim())
    .filter((line) => endOfQuestion.test(line))
    .slice(0, limit)
}

/**
 * Returns the value of `##QUESTION_NUM_STR##`: a count with its noun, in the language of the prompt (which may differ from that
 * of the request if a prompt is missing). English is used for languages other than Polish.
 */
export function questionCount(count: number, language: string | undefined): string {
  return language === 'pl' ? `${count} ${polishQuestions(count)}` : `${count} question(s)`
}

/** Polish plural forms. Source: Unicode CLDR, language plural rules. */
function polishQuestions(count: number): string {
  switch (new Intl.PluralRules('pl').select(count)) {
    case 'one':
      return 'pytanie'
    case 'many':
      return 'pytań'
    default:
      return 'pytania'
  }
}
