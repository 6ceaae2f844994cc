import { createHash } from 'node:crypto'
import { post } from '../helpers/http.ts'
import { type KeysFile, keysFile } from '../helpers/keys-file.ts'
import { messages } from '../helpers/messages.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import {
  type Behaviour,
  openaiText,
  type RecordedRequest,
  type ScriptedUpstream,
  startUpstream,
} from '../helpers/scripted-upstream.ts'

export const path = '/v1/chat/completions'
export const head = 'sk-llm-router-canary-'
export const keys = {
  all: `${head}all-0123456789`,
  /** The same first 20 characters, and more. */
  few: `${head}few-0123456789`,
  disabled: `${head}disabled-0123456789`,
  expired: `${head}expired-0123456789`,
  operator: `${head}operator-0123456789`,
  ollama: `${head}ollama-0123456789`,
  /** Shorter than 20 characters. */
  short: 'sk-short-key',
}
export const records = [
  { id: 'all', key: keys.all },
  { id: 'few', sha256: createHash('sha256').update(keys.few).digest('hex'), models: ['small', 'gpt-*'] },
  { id: 'disabled', key: keys.disabled, enabled: false },
  { id: 'expired', key: keys.expired, expires_at: '2020-01-01' },
  { id: 'operator', key: keys.operator, surfaces: ['operator'] },
  { id: 'ollama', key: keys.ollama, surfaces: ['ollama'] },
  { id: 'short', key: keys.short },
]

export const bearer = (key: string) => ({ authorization: `Bearer ${key}` })
export const chat = (model: string) => ({ model, messages })

/** The names of the models upstream. */
const served = ['small', 'gpt-4', 'large', 'gpt-5']

/** A router that requires these keys, with models that not all of them may use. */
export class KeyedRouter {
  readonly router: TestRouter
  readonly file: KeysFile
  /** How a request is answered upstream. */
  answer: (request: RecordedRequest) => Behaviour = () => openaiText('Hi')
  readonly #upstream: ScriptedUpstream
  #addresses = 0

  private constructor(router: TestRouter, upstream: ScriptedUpstream, file: KeysFile) {
    this.router = router
    this.#upstream = upstream
    this.file = file
    upstream.rescript((request) => (isQuestion(request) ? list : this.answer(request)))
  }

  static async open(): Promise<KeyedRouter> {
    const upstream = await startUpstream(list)
    const provider = { api_type: 'vllm', api_host: upstream.url }
    const model = (id: string, more: object = {}) => ({
      providers: [{ id, model_path: id, ...provider }],
      ...more,
    })
    const group = {
      small: model('small', { fallbacks: ['Large', 'gpt-4'] }),
      'gpt-4': model('gpt-4'),
      Large: model('large'),
      'GPT-5': model('gpt-5'),
    }
    const file = keysFile(records)
    const router = await startRouter({
      env: {
        ...file.env,
        LLM_ROUTER_TRUSTED_PROXIES: '127.0.0.1',
        LLM_ROUTER_BODY_LIMIT: '10000',
        LLM_ROUTER_USE_PROMETHEUS: '1',
      },
      models: { g: group, active_models: { g: Object.keys(group) } },
    })
    return new KeyedRouter(router, upstream, file)
  }

  async close(): Promise<void> {
    await this.router.close()
    await this.#upstream.close()
    this.file.remove()
  }

  /** What was sent upstream for clients. */
  get sent(): RecordedRequest[] {
    return this.#upstream.requests.filter((request) => !isQuestion(request))
  }

  /** Each request comes from a different address, so that none is limited for the invalid keys of another. */
  fromNewAddress(): Record<string, string> {
    const count = ++this.#addresses
    return {
      'x-forwarded-for': `192.0.${count >> 8}.${count & 255}`,
      'content-type': 'application/json',
    }
  }

  async statusFor(key: string, body: object, at = path): Promise<number> {
    const { status } = await post(this.router.url + at, body, { ...this.fromNewAddress(), ...bearer(key) })
    return status
  }

  async get(at: string, headers: Record<string, string> = {}): Promise<{ status: number; text: string }> {
    const response = await fetch(this.router.url + at, { headers })
    return { status: response.status, text: await response.text() }
  }
}

/** Whether the router itself asks: for the models of the server, or for its health. */
function isQuestion({ method }: RecordedRequest): boolean {
  return method === 'GET'
}

const list: Behaviour = {
  kind: 'reply',
  body: { object: 'list', data: served.map((id) => ({ id, object: 'model', max_model_len: 4096 })) },
}
