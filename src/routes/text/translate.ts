import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { optional } from '../../sdk/text-endpoint.ts'

const plugin: FastifyPluginAsync = async (app) => {
  app.textEndpoints.add({
    name: 'translate',
    summary: 'Translate each text, into Polish unless target_language names another language.',
    fields: {
      texts: Type.Array(Type.String()),
      target_language: optional(
        Type.String({ maxLength: 100, errorMessage: 'a string of at most 100 characters' }),
      ),
    },
    example: { texts: ['Cats sleep.'], target_language: 'German' },
    item: Type.Object({ original: Type.String(), translated: Type.String() }),
    system: ({ target_language }) => {
      const target = target_language?.trim() ?? ''
      if (target === '' || isPolish(target)) return { prompt: 'builtin/system/*/translate-to-pl' }
      return {
        prompt: 'builtin/system/*/translate',
        variables: () => ({ TARGET_LANGUAGE_STR: target }),
      }
    },
    texts: ({ texts }) => texts,
    result: (translated, original) => ({ original, translated }),
  })
}

export default fp(plugin, { name: 'routes/text/translate', encapsulate: true })

/** Whether this is the language code of Polish (BCP 47, with or without region), or its name in English or Polish. */
function isPolish(language: string): boolean {
  return /^(?:pl|pol)(?:[-_].*)?$|^polish$|^(?:język )?polski$|^po polsku$/i.test(language)
}
