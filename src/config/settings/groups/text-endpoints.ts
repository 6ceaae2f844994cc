import { Type } from '@sinclair/typebox'
import { text } from './setting-types.ts'

/** The text endpoints and their prompts. */
export const textEndpointSettings = {
  promptsDir: text(
    'resources/prompts',
    'Directory with the prompts of the text endpoints; reloaded when they change.',
  ),
  defaultLanguage: text('pl', 'Language of prompts if a request names none, or one without prompts.'),
  fanout: Type.Integer({
    default: 8,
    minimum: 1,
    maximum: 1024,
    description: 'Texts of one request that are processed concurrently.',
  }),
}
