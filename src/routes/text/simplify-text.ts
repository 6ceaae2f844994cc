import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'

const plugin: FastifyPluginAsync = async (app) => {
  app.textEndpoints.add({
    name: 'simplify_text',
    summary: 'Rewrite each text in plain language.',
    fields: { texts: Type.Array(Type.String()) },
    example: { texts: ['Felines exhibit crepuscular activity.'] },
    item: Type.String(),
    system: () => ({ prompt: 'builtin/system/*/simplify-text' }),
    texts: ({ texts }) => texts,
    result: (answer) => answer,
  })
}

export default fp(plugin, { name: 'routes/text/simplify-text', encapsulate: true })
