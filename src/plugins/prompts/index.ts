import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { readPromptTree } from '../../config/prompt-tree.ts'
import type { ConfigSubscriber } from '../../config/reloader.ts'
import type { PromptsSnapshot } from '../../config/sources.ts'
import { PromptLibrary } from './prompt-library.ts'

declare module 'fastify' {
  interface FastifyInstance {
    prompts: PromptLibrary
  }
}

/** Relative to the code, not to the working directory. */
const shippedDirectory = join(import.meta.dirname, '../../../resources/prompts')
const variable = 'LLM_ROUTER_PROMPTS_DIR'

/** Prompts of LLM_ROUTER_PROMPTS_DIR, loaded at start and after each change, with the shipped prompts as fallback. */
export default fp(
  async (app) => {
    const directory = app.config.promptsDir
    const shipped = await readPromptTree(shippedDirectory)
    const feed = app.reload.feed(app.reload.sources.prompts)
    const { tree: own } = await feed.first()
    for (const error of shipped?.errors ?? ['missing']) app.log.error(`shipped prompts: ${error}`)
    for (const error of own?.errors ?? []) app.log.error(`${variable}: ${error}`)
    if (!own)
      app.log.warn(`${variable}: the directory ${directory} does not exist; the shipped prompts are used`)

    const library = new PromptLibrary({
      shipped: shipped?.texts ?? new Map(),
      defaultLanguage: app.config.defaultLanguage,
      warn: (message) => app.log.warn(message),
    })
    const texts = own && new Map(own.texts)
    if (texts) library.replace(texts)
    app.decorate('prompts', library)
    feed.serve(subscriber(app, texts))
  },
  { name: 'prompts', dependencies: ['config', 'reload'] },
)

/** An error in any file rejects the whole reload: a partial library is worse than an outdated one. */
function subscriber(app: FastifyInstance, first: Texts | undefined): ConfigSubscriber<PromptsSnapshot> {
  let current = first
  let prepared: Texts | undefined
  return {
    async prepare({ tree }) {
      prepared = tree && new Map(tree.texts)
      return tree?.errors ?? (current ? ['the directory no longer exists'] : [])
    },
    commit(notice) {
      const next = prepared
      prepared = undefined
      if (!next || isSame(next, current)) return
      current = next
      if (notice) app.log.info({ prompts: current.size }, 'prompts reloaded')
      app.prompts.replace(current)
    },
    describe: () => ({ prompts: digestOf(current) }),
    discard(errors, notice) {
      prepared = undefined
      if (!notice) return
      for (const error of errors) app.log.error(`${variable}: ${error}; the prompts in use stay in effect`)
    },
  }
}

function digestOf(texts: Texts | undefined): string {
  return createHash('sha256')
    .update(JSON.stringify([...(texts ?? [])]))
    .digest('hex')
    .slice(0, 12)
}

type Texts = ReadonlyMap<string, string>

function isSame(texts: Texts, previous: Texts | undefined): boolean {
  return texts.size === previous?.size && [...texts].every(([id, text]) => previous.get(id) === text)
}
