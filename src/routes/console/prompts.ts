import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import { consoleRole } from '../../config/settings/sign-in.ts'
import { endpointPaths } from '../../lib/endpoint-paths.ts'
import { isObject, parseJson } from '../../lib/json/read.ts'
import { type EndpointDocs, json } from '../../sdk/endpoint-docs.ts'
import { badRequest, RouterError } from '../../sdk/errors.ts'

const nullable = (description: string) => Type.Union([Type.String(), Type.Null()], { description })

const LibrarySchema = Type.Object({
  default_language: Type.String(),
  prompts: Type.Array(
    Type.Object({
      id: Type.String(),
      name: Type.String({ description: 'The id without its language: the same for all translations.' }),
      language: nullable('null: the prompt has no language.'),
      placeholders: Type.Array(Type.String()),
      shipped: Type.Boolean({ description: 'Whether the prompt is part of the router.' }),
      text: Type.String(),
    }),
  ),
})

const RenderQuery = Type.Object({
  id: Type.String({ minLength: 1, description: 'Id of the prompt.' }),
  variables: Type.Optional(
    Type.String({
      maxLength: 16_384,
      description: 'Values by placeholder: a JSON object of strings.',
    }),
  ),
})

const RenderedSchema = Type.Object({
  id: Type.String(),
  language: nullable('null: the prompt has no language.'),
  text: Type.String(),
  missing: Type.Array(Type.String(), { description: 'Placeholders without a value; they stay as they are.' }),
  unused: Type.Array(Type.String(), { description: 'Values without a placeholder.' }),
})

/** The complete prompt library, and rendered prompts. */
const plugin: FastifyPluginAsyncTypebox = async (app) => {
  const config = { admin: true, errors: 'problem', ...consoleRole(app.config) } as const
  const { endpointPrefix: prefix, defaultLanguage } = app.config
  for (const path of endpointPaths(prefix, { fixed: [], prefixed: ['/prompts/library'] }))
    app.get(
      path,
      { config: { ...config, docs: libraryDocs }, schema: { response: { 200: LibrarySchema } } },
      async (_request, reply) => {
        reply.header('cache-control', 'no-store')
        const prompts = app.prompts.list().flatMap(({ id }) => {
          const prompt = app.prompts.find(id)
          return prompt ? [prompt] : []
        })
        return {
          default_language: defaultLanguage,
          prompts: prompts.map(({ id, language, placeholders, shipped, text }) => ({
            id,
            name: nameOf(id, language),
            language: language ?? null,
            placeholders: [...placeholders],
            shipped,
            text,
          })),
        }
      },
    )
  for (const path of endpointPaths(prefix, { fixed: [], prefixed: ['/prompts/render'] }))
    app.get(
      path,
      {
        config: { ...config, docs: renderDocs },
        schema: { querystring: RenderQuery, response: { 200: RenderedSchema } },
      },
      async (request, reply) => {
        reply.header('cache-control', 'no-store')
        const { id, variables: encoded } = request.query
        const prompt = app.prompts.list().some((each) => each.id === id) ? app.prompts.find(id) : undefined
        if (!prompt)
          throw new RouterError(
            'not_found',
            `Unknown prompt '${id.slice(0, 256)}'; GET ${app.config.endpointPrefix}/prompts/library lists them`,
            {
              code: 'prompt_not_found',
            },
          )
        const variables = variablesIn(encoded)
        const { text, missing } = app.prompts.render(prompt.text, variables)
        const unused = Object.keys(variables).filter((name) => !prompt.placeholders.includes(name))
        return { id, language: prompt.language ?? null, text, missing, unused }
      },
    )
}

export default fp(plugin, { name: 'routes/console/prompts', encapsulate: true })

// Returns `builtin/system/*/translate` for `builtin/system/pl/translate`.
function nameOf(id: string, language: string | undefined): string {
  return language === undefined ? id : id.replace(`/${language}/`, '/*/')
}

function variablesIn(text: string | undefined): Record<string, string> {
  if (text === undefined || text === '') return {}
  const value = parseJson(text)
  if (!isObject(value) || !Object.values(value).every((each) => typeof each === 'string'))
    throw badRequest("'variables' must be a JSON object of strings", 'variables', 'invalid_value')
  return value as Record<string, string> // checked above
}

const libraryDocs: EndpointDocs = {
  id: 'promptLibrary',
  tag: 'Operation',
  summary: 'The prompt library with its texts',
  answers: [json('All prompts.', LibrarySchema)],
}

const renderDocs: EndpointDocs = {
  id: 'renderPrompt',
  tag: 'Operation',
  summary: 'Render a prompt with variables',
  answers: [json('The text as sent to a model.', RenderedSchema)],
  query: RenderQuery.properties,
}
