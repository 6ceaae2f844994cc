import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'

const plugin: FastifyPluginAsync = async (app) => {
  app.textEndpoints.add({
    name: 'generate_article_from_text',
    summary: 'Write a short news item for social media from a text.',
    fields: { text: Type.String() },
    example: { text: 'The city opens a shelter for cats on Monday.' },
    response: Type.Object({ article_text: Type.String() }),
    system: () => ({ prompt: 'builtin/system/*/news-on-sm' }),
    text: ({ text }) => text,
    answer: (article_text) => ({ response: { article_text }, article_text }),
  })
}

export default fp(plugin, { name: 'routes/text/generate-article-from-text', encapsulate: true })
