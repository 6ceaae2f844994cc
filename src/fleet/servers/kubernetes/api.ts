import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ChunkList } from '../../../lib/bytes/chunk-list.ts'
import { parseJson } from '../../../lib/json/read.ts'
import { createHttpTransport, type HttpTransport } from '../../../relay/upstream/http-transport.ts'

export interface KubernetesApiOptions {
  env: Readonly<Record<string, string | undefined>>
  /** Directory of the service account: has `token` and `ca.crt`. */
  directory: string
}

/** The API server responded with an error, or not at all. */
export class KubernetesError extends Error {
  /** HTTP status; 0 if there was no response. */
  readonly status: number

  constructor(status: number, message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'KubernetesError'
    this.status = status
  }
}

export interface ReadOptions {
  signal: AbortSignal
  /** The request fails after this long without data, in milliseconds. */
  idleMs: number
}

const connectTimeoutMs = 10_000
/** One line holds one EndpointSlice, which has at most 1,000 endpoints. */
const maxLineBytes = 16 * 1024 * 1024
const maxListBytes = 64 * 1024 * 1024

/**
 * The API server, as a pod reaches it: https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/. Kubernetes
 * replaces token and certificate while the pod runs, so both files are read for each request.
 */
export class KubernetesApi {
  readonly #options: KubernetesApiOptions
  #current: { ca: string; transport: HttpTransport } | undefined

  constructor(options: KubernetesApiOptions) {
    this.#options = options
  }

  /** Gets an object. Rejects with a KubernetesError. */
  async get(path: string, options: ReadOptions): Promise<unknown> {
    const chunks = new ChunkList()
    let bytes = 0
    await this.#read(path, options, (chunk) => {
      bytes += chunk.length
      if (bytes > maxListBytes) throw new KubernetesError(0, 'the response is too large')
      chunks.add(chunk)
    })
    return parseJson(Buffer.concat(chunks.take()).toString())
  }

  /** Streams a response line by line, as a watch needs it. Resolves when the server ends the response. */
  async lines(path: string, options: ReadOptions, onLine: (line: string) => void): Promise<void> {
    const decoder = new TextDecoder()
    let rest = ''
    await this.#read(path, options, (chunk) => {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      if (rest.length > maxLineBytes) throw new KubernetesError(0, 'a line of the watch is too long')
      for (const line of lines) if (line.trim() !== '') onLine(line)
    })
  }

  close(): void {
    void this.#current?.transport.close()
  }

  async #read(path: string, { signal, idleMs }: ReadOptions, onData: (chunk: Buffer) => void): Promise<void> {
    const { origin, token, transport } = await this.#access()
    signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    let status = 0
    const idle = setTimeout(() => reject(new KubernetesError(status, 'silent for too long')), idleMs).unref()
    const headers = {
      accept: 'application/json',
      ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
    }
    const request = transport.open(
      { origin, path, method: 'GET', headers, body: Buffer.alloc(0) },
      {
        onHeaders: (received) => {
          status = received
          idle.refresh()
        },
        onData: (chunk) => {
          idle.refresh()
          if (status >= 300) return
          try {
            onData(chunk)
          } catch (error) {
            reject(error)
          }
        },
        onEnd: () => {
          if (status < 300) resolve()
          else reject(new KubernetesError(status, `HTTP ${status}`))
        },
        onError: (error) => reject(new KubernetesError(0, error.message, error)),
      },
    )
    const onAbort = (): void => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      await promise
    } finally {
      clearTimeout(idle)
      signal.removeEventListener('abort', onAbort)
      request.abort()
    }
  }

  async #access(): Promise<{ origin: string; token: string; transport: HttpTransport }> {
    const { env, directory } = this.#options
    const host = env.KUBERNETES_SERVICE_HOST?.trim() ?? ''
    if (host === '') throw new KubernetesError(0, 'KUBERNETES_SERVICE_HOST is not set: this is not a pod')
    const port = env.KUBERNETES_SERVICE_PORT?.trim() || '443'
    const [token, ca] = await Promise.all([
      textOf(join(directory, 'token')),
      textOf(join(directory, 'ca.crt')),
    ])
    return {
      origin: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
      token: token.trim(),
      transport: this.#transportFor(ca),
    }
  }

  #transportFor(ca: string): HttpTransport {
    if (this.#current?.ca !== ca)
      this.#current = { ca, transport: createHttpTransport({ connectTimeoutMs, connection: { ca } }) }
    return this.#current.transport
  }
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new KubernetesError(0, 'the service account cannot be read; is its token mounted?', error)
  }
}
