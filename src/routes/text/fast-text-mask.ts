import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { type EndpointDocs, json } from '../../sdk/endpoint-docs.ts'

const Body = Type.Object({ text: Type.String({ description: 'The text to mask.' }) })

const Answer = Type.Object({
  text: Type.String({
    description: 'The text, with a pseudonym such as `{EMAIL_1767225600000000_1}` for each value.',
  }),
  mappings: Type.Record(Type.String(), Type.String(), { description: 'The value of each pseudonym.' }),
  stream: Type.Boolean(),
})

/** An endpoint of the Python llm-router: masks values of the built-in kinds in a text. Stores nothing. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const config = { dialect: 'openai', surface: 'text', docs } as const
  for (const path of endpointPaths(app.config.endpointPrefix, { fixed: [], prefixed: ['/fast_text_mask'] }))
    app.post(path, { config, schema: { body: Body } }, async ({ body: { text } }) => {
      const { text: masked, mappings } = await app.processors.maskText(text)
      return { text: masked, mappings, stream: false }
    })
}

export default fp(plugin, { name: 'routes/text/fast-text-mask', encapsulate: true })

const docs: EndpointDocs = {
  id: 'fastTextMask',
  tag: 'Text endpoints',
  summary: 'Mask a text',
  description: 'Replaces the built-in kinds of personal data and secrets. Asks no model and stores nothing.',
  answers: [json('The masked text, and the value of each pseudonym.', Answer)],
  example: { text: 'Write to jan@example.com' },
}
