import { isObject } from '../../src/lib/json/read.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { type RecordedRequest, type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'
import { startEcho } from '../processors/echo-upstream.ts'

/** The topics that the vectors of the embedding server distinguish. */
const topics = ['code', 'poem', 'holiday', 'router']

/** An embedding server: each dimension stands for a word of the text. */
export function startEmbeddings(
  answer: (request: RecordedRequest) => unknown = vectorsFor,
): Promise<ScriptedUpstream> {
  return startUpstream((request) => ({ kind: 'reply', body: answer(request) }))
}

export function vectorsFor({ body }: Pick<RecordedRequest, 'body'>): unknown {
  const input = isObject(body) ? [body.input].flat() : []
  const data = input.map((text, index) => ({ object: 'embedding', index, embedding: vectorOf(String(text)) }))
  return {
    object: 'list',
    data,
    model: 'e',
    usage: { prompt_tokens: 3 * data.length, total_tokens: 3 * data.length },
  }
}

export function vectorOf(text: string): number[] {
  const words = text.toLowerCase()
  return [...topics.map((topic) => words.split(topic).length - 1), 0.1]
}

export interface AutoRig {
  readonly router: TestRouter
  readonly models: ScriptedUpstream
  readonly embeddings: ScriptedUpstream
  /** Names of the models that received chats, in order. */
  readonly asked: string[]
  close(): Promise<void>
}

/** A router with the models small, middle and large, and e for embeddings. `providers`: additional providers of a model. */
export async function startAuto(
  auto: unknown,
  {
    env = {},
    providers = {},
    shell = {},
    root = {},
  }: {
    env?: Record<string, string>
    providers?: Record<string, object>
    shell?: Record<string, object>
    root?: Record<string, unknown>
  } = {},
): Promise<AutoRig> {
  const models = await startEcho({ say: () => ({ text: 'Fine.' }) })
  const embeddings = await startEmbeddings()
  const model = (name: string, api_host: string) => ({
    ...shell[name],
    providers: [{ api_type: 'vllm', api_host, model_path: `up-${name}`, ...providers[name] }],
  })
  const g = {
    ...Object.fromEntries(['small', 'middle', 'large'].map((name) => [name, model(name, models.url)])),
    e: model('e', embeddings.url),
  }
  const starting = startRouter({
    models: {
      ...(auto === undefined ? {} : { auto_model: auto }),
      ...root,
      g,
      active_models: { g: Object.keys(g) },
    },
    env,
  })
  const closeServers = async (): Promise<void> => {
    await models.close()
    await embeddings.close()
  }
  const router = await starting.catch(async (error: unknown) => {
    await closeServers()
    throw error
  })
  return {
    router,
    models,
    embeddings,
    get asked() {
      return models.requests.map(({ body }) => (isObject(body) ? String(body.model).replace('up-', '') : ''))
    },
    async close() {
      await router.close()
      await closeServers()
    },
  }
}
