import { after, before } from 'node:test'
import { messages } from '../helpers/messages.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  openaiStream,
  openaiText,
  type ScriptedUpstream,
  startUpstream,
  upstreamModel,
} from '../helpers/scripted-upstream.ts'

/** A router that sends a keep-alive every 50 ms. Registers the hooks that start and close it. */
export function keepAliveRig() {
  let upstream: ScriptedUpstream
  let spare: ScriptedUpstream
  let silent: ScriptedUpstream
  let router: TestRouter

  before(async () => {
    upstream = await startUpstream(openaiText('unused'))
    spare = await startUpstream(openaiStream(['from the spare']))
    silent = await startUpstream({ kind: 'hang' })
    const server = { api_type: 'vllm', api_host: upstream.url, model_path: upstreamModel }
    router = await startRouter({
      env: {
        LLM_ROUTER_STREAM_KEEPALIVE: '0.05',
        LLM_ROUTER_BALANCE_STRATEGY: 'first_available',
        LLM_ROUTER_QUEUE_TIMEOUT: '2',
      },
      models: modelsConfig({
        one: [{ ...server, id: 'one box' }],
        two: [
          { ...server, id: 'two' },
          { ...server, id: 'spare', api_host: spare.url },
        ],
        silent: [{ ...server, id: 'silent', api_host: silent.url }],
        native: [{ ...server, id: 'native', api_type: 'ollama' }],
        claude: [{ ...server, id: 'claude', api_type: 'anthropic' }],
        responses: [{ ...server, id: 'responses', api_type: 'openai', responses: true }],
      }),
    })
  })

  after(async () => {
    await router.close()
    await upstream.close()
    await spare.close()
    await silent.close()
  })

  /** Streams from the router and reports each comment or ping. */
  class Watched {
    text = ''
    status = 0
    headers = new Headers()
    readonly #signs: (() => void)[] = []
    #seen = 0
    #taken = 0

    /** For a client that accepts a custom `fetch`. */
    readonly fetch: typeof fetch = async (input, init) => {
      const response = await fetch(input, init)
      const decoder = new TextDecoder()
      const note = new TransformStream<Uint8Array, Uint8Array>({
        transform: (bytes, controller) => {
          this.text += decoder.decode(bytes, { stream: true })
          this.#seen = this.text.split(/^(?:: keep-alive|event: ping)$/m).length - 1
          for (const sign of this.#signs.splice(0)) sign()
          controller.enqueue(bytes)
        },
      })
      const { status, headers } = response
      this.status = status
      this.headers = headers
      return new Response(response.body?.pipeThrough(note) ?? null, { status, headers })
    }

    async ask(path: string, body: object, signal: AbortSignal | null = null): Promise<string> {
      const response = await this.fetch(router.url + path, {
        method: 'POST',
        signal,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ stream: true, ...body }),
      })
      await response.text()
      return this.text
    }

    /** One item per received keep-alive. */
    async *silences(): AsyncGenerator<void> {
      for (;;) {
        this.#taken++
        while (this.#seen < this.#taken) await new Promise<void>((resolve) => this.#signs.push(resolve))
        yield
      }
    }
  }

  /** Fulfilled after this many keep-alives in a silence that begins now: the time that other streams are given. */
  async function silencePasses(times: number): Promise<void> {
    const witness = new Watched()
    const left = new AbortController()
    const asked = witness.ask('/v1/chat/completions', { model: 'silent', messages }, left.signal)
    asked.catch(() => undefined) // it disconnects below
    const silences = witness.silences()
    for (let index = 0; index < times; index++) await silences.next()
    left.abort()
  }

  return {
    get upstream(): ScriptedUpstream {
      return upstream
    },
    get spare(): ScriptedUpstream {
      return spare
    },
    get router(): TestRouter {
      return router
    },
    Watched,
    silencePasses,
  }
}

/** A stream whose pieces each wait until the client has received a keep-alive. */
export async function* between(
  pieces: readonly string[],
  silences: AsyncIterator<void>,
): AsyncGenerator<string> {
  for (const piece of pieces) {
    await silences.next()
    yield piece
  }
}
