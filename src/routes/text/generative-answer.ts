import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { optional } from '../../sdk/text-endpoint.ts'

const TextList = Type.Array(Type.String())

const plugin: FastifyPluginAsync = async (app) => {
  app.textEndpoints.add({
    name: 'generative_answer',
    summary: 'Answer a question from the given texts only.',
    fields: {
      question_str: Type.String(),
      texts: Type.Union([TextList, Type.Record(Type.String(), TextList)], {
        errorMessage: 'a list of texts, or an object of lists of texts by document name',
      }),
      doc_name_in_answer: optional(Type.Boolean()),
      question_prompt: optional(Type.String()),
      system_prompt: optional(Type.String()),
    },
    example: { question_str: 'When do cats hunt?', texts: ['Cats sleep by day and hunt at dusk.'] },
    response: Type.String(),
    system: ({ question_str, question_prompt, system_prompt }) => ({
      prompt: 'builtin/system/*/answer-from-context-simple',
      variables: () => ({ QUESTION_STR: question_str }),
      instead: system_prompt,
      append: question_prompt,
    }),
    text: ({ texts, doc_name_in_answer }, language) => {
      if (Array.isArray(texts)) return texts.join('\n\n').trim()
      const passages = Object.entries(texts).flatMap(([name, ofDocument]) =>
        ofDocument.map((text) => (doc_name_in_answer ? labelled(name, text, language) : text)),
      )
      return passages.join('\n\n').trim()
    },
    answer: (answer) => ({ response: answer, article_text: answer }),
  })
}

export default fp(plugin, { name: 'routes/text/generative-answer', encapsulate: true })

/** Labels a passage with its document, in the language of the prompt, which asks the model to name the source. */
function labelled(name: string, text: string, language: string | undefined): string {
  const [document, content] =
    language === 'pl' ? ['Nazwa dokumentu', 'Treść dokumentu'] : ['Document name', 'Document text']
  return `${document}: ${name.replaceAll(/\s+/g, ' ')}\n${content}: ${text}`
}
