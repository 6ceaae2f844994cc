import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { optional } from '../../sdk/text-endpoint.ts'

const plugin: FastifyPluginAsync = async (app) => {
  app.textEndpoints.add({
    name: 'create_full_article_from_texts',
    summary: "Write one article from several texts, guided by the user's query.",
    fields: {
      user_query: Type.String(),
      texts: Type.Array(Type.String()),
      article_type: optional(Type.String()),
    },
    example: { user_query: 'Do cats sleep at night?', texts: ['Cats hunt at dusk.', 'Cats sleep by day.'] },
    response: Type.Object({ article_text: Type.String() }),
    system: ({ user_query, article_type }) => ({
      prompt: 'builtin/system/*/full-article',
      variables: () => ({ USER_Q_STR: user_query }),
      append: article_type,
    }),
    text: ({ texts }) =>
      texts
        .map((text) => text.trim())
        .filter((text) => text !== '')
        .join('\n\n'),
    answer: (article_text) => ({ response: { article_text }, article_text }),
  })
}

export default fp(plugin, { name: 'routes/text/create-full-article-from-texts', encapsulate: true })
