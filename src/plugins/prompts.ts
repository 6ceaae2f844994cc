import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { PromptLibrary } from '../core/prompt-library.ts'
import { type PromptTree, readPromptTree } from '../core/prompt-tree.ts'
import { PromptWatch } from '../core/prompt-watch.ts'

declare module 'fastify' {
  interface FastifyInstance {
    prompts: PromptLibrary
  }
}

/** Beside the code, wherever the process was started. */
const shippedDirectory = join(import.meta.dirname, '../../resources/prompts')
const variable = 'LLM_ROUTER_PROMPTS_DIR'

/** The prompts of LLM_ROUTER_PROMPTS_DIR, read at the start and after each change, with the shipped ones behind them. */
export default fp(
  async (app) => {
    const directory = app.config.promptsDir
    const shipped = await readPromptTree(shippedDirectory)
    const own = await readPromptTree(directory)
    for (const fault of shipped?.faults ?? ['missing']) app.log.error(`the shipped prompts: ${fault}`)
    for (const fault of own?.faults ?? []) app.log.error(`${variable}: ${fault}`)
    if (!own) app.log.warn(`${variable}: there is no directory ${directory}; the shipped prompts serve`)

    const library = new PromptLibrary({
      shipped: shipped?.texts ?? new Map(),
      defaultLanguage: app.config.defaultLanguage,
      warn: (message) => app.log.warn(message),
    })
    if (own) library.replace(own.texts)
    app.decorate('prompts', library)
    follow(app, own)
  },
  { name: 'prompts', dependencies: ['config'] },
)

/** Reads again after changes. A reading with a fault in it changes nothing: half a library is worse than an old one. */
function follow(app: FastifyInstance, read: PromptTree | undefined): void {
  let current = read?.texts
  let reported = (read?.faults ?? []).join()
  const watch = new PromptWatch({
    directory: app.config.promptsDir,
    quietMs: 100,
    onRead(tree) {
      const faults = tree?.faults ?? (current ? ['the directory is gone'] : [])
      if (faults.join() !== reported) {
        for (const fault of faults) app.log.error(`${variable}: ${fault}; the prompts stay as they were`)
      }
      reported = faults.join()
      if (!tree || faults.length > 0 || isSame(tree.texts, current)) return
      current = tree.texts
      app.log.info({ prompts: current.size }, 'prompts read again')
      app.prompts.replace(current)
    },
    onBlind: (error) => app.log.warn({ err: error }, `${variable}: not every change will be noticed`),
  })
  // Not before: a start that fails in a later plugin closes nothing and would leave the watches open.
  app.addHook('onReady', () => watch.start())
  app.addHook('onClose', () => watch.close())
}

function isSame(
  texts: ReadonlyMap<string, string>,
  former: ReadonlyMap<string, string> | undefined,
): boolean {
  return texts.size === former?.size && [...texts].every(([id, text]) => former.get(id) === text)
}
