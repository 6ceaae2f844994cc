import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { freePort, post } from '../helpers/http.ts'
import { messages } from '../helpers/messages.ts'
import { list, object, text } from './meaning.ts'

export interface Engine {
  url: string
  model: string
  stop(): Promise<void>
}

/**
 * The llama-server at LLM_ROUTER_TEST_LLAMACPP, or a new one with the tiny model beside its script, for up to two concurrent
 * requests; with `--embeddings`, the embedding model. The script downloads llama-server once, so the first start takes longer.
 */
export async function startLlamaServer(args: readonly string[] = []): Promise<Engine> {
  const running = process.env.LLM_ROUTER_TEST_LLAMACPP
  if (running && args.length === 0) return runningEngine(running)
  const port = await freePort()
  const script = join(import.meta.dirname, 'llama/llama-server.sh')
  const child = spawn('bash', [script, String(port), ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  const kill = (): boolean => child.kill('SIGKILL')
  process.once('exit', kill)
  const exit = once(child, 'exit')
  let said = ''
  const listening = new Promise<void>((resolve) =>
    child.stderr.on('data', (part) => {
      said = (said + part).slice(-4000)
      if (/listening on/.test(said)) resolve()
    }),
  )
  const early = exit.then(() => {
    throw new Error(`llama-server ended: ${said}`)
  })
  await Promise.race([listening, early])
  early.catch(() => undefined) // the server ends only when it is stopped
  const url = `http://127.0.0.1:${port}`
  return {
    url,
    model: 'tiny',
    async stop() {
      process.off('exit', kill)
      kill()
      await exit
    },
  }
}

/** A running server, with the first listed model that chats: Ollama lists embedding models too, in no fixed order. */
export async function runningEngine(url: string): Promise<Engine> {
  const listed = object(await (await fetch(`${url}/v1/models`)).json())
  for (const { id } of list(listed.data)) {
    const model = text(id)
    const body = { model, messages, max_tokens: 1 }
    const { status } = await post(`${url}/v1/chat/completions`, body)
    if (status === 200) return { url, model, stop: async () => undefined }
  }
  throw new Error(`${url} lists no model that chats`)
}
