import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { FollowedServer } from '../../config/servers/followed.ts'
import type { ServerEndpoint } from '../../config/servers/published.ts'
import type { AllLookup } from '../../relay/upstream/checked-lookup.ts'
import { followAddresses } from './dns-addresses.ts'
import type { KubernetesServices } from './kubernetes/services.ts'
import { type KnownModels, listModels } from './server-models.ts'

export interface FollowerOptions {
  dnsIntervalMs: number
  allowLinkLocal: boolean
  kubernetes: Pick<KubernetesServices, 'follow'>
  lookup?: AllLookup | undefined
  /** 0 (inclusive) to 1 (exclusive). */
  random(): number
  onChange(): void
}

/** Maximum interval between requests for a server's model list, in milliseconds; jittered by 20 %. */
const modelsIntervalMs = 10_000
/** Timeout of one request for a model list, in milliseconds. */
const listTimeoutMs = 8_000
/** Maximum number of concurrent requests to endpoints of one server. */
const maxConcurrent = 16

/** Follows the addresses and models of a server. An endpoint that does not respond keeps its last known models. */
export class ServerFollower {
  readonly #server: FollowedServer
  readonly #options: FollowerOptions
  readonly #knownModels = new Map<string, KnownModels>()
  readonly #stop = new AbortController()
  readonly #first = Promise.withResolvers<void>()
  readonly #stopAddresses: () => void
  #endpoints: readonly ServerEndpoint[]
  #timer: NodeJS.Timeout | undefined
  #pending: Promise<void> | undefined
  /** Endpoints were added since the models were last requested. */
  #hasNew = false

  /** `previous`: the state of this server under the previous configuration. */
  constructor(server: FollowedServer, previous: readonly ServerEndpoint[], options: FollowerOptions) {
    this.#server = server
    this.#options = options
    this.#endpoints = previous
    this.#stopAddresses = this.#followAddresses()
  }

  get endpoints(): readonly ServerEndpoint[] {
    return this.#endpoints
  }

  /** Resolves when the server has responded or failed. */
  get first(): Promise<void> {
    return this.#first.promise
  }

  stop(): void {
    this.#stop.abort()
    clearTimeout(this.#timer)
    this.#stopAddresses()
    this.#first.resolve()
  }

  #followAddresses(): () => void {
    const { kubernetes, addresses, host = '' } = this.#server
    if (kubernetes) {
      return this.#options.kubernetes.follow(kubernetes, (endpoints) => this.#setAddresses(endpoints))
    }
    if (addresses === 'one') {
      this.#setAddresses([{}])
      return () => undefined
    }
    const { dnsIntervalMs, allowLinkLocal, lookup } = this.#options
    return followAddresses(
      new URL(host).hostname,
      { intervalMs: dnsIntervalMs, allowLinkLocal, lookup },
      (found) => this.#setAddresses(found?.map((address) => ({ name: digestOf(address), address }))),
    )
  }

  /** Undefined if the server did not respond. */
  #setAddresses(found: readonly Omit<ServerEndpoint, 'models'>[] | undefined): void {
    if (found === undefined) {
      this.#first.resolve()
      return
    }
    const previous = new Map(this.#endpoints.map((endpoint) => [endpoint.name, endpoint]))
    const endpoints = found.map((endpoint): ServerEndpoint => {
      const models = previous.get(endpoint.name)?.models
      return { ...endpoint, ...(models === undefined ? {} : { models }) }
    })
    this.#setEndpoints(endpoints)
    for (const name of this.#knownModels.keys())
      if (!endpoints.some((endpoint) => keyOf(endpoint) === name)) this.#knownModels.delete(name)
    if (!this.#server.hasModels) this.#first.resolve()
    else if (endpoints.some(({ models }) => models === undefined) || this.#timer === undefined)
      this.#requestModels()
    else this.#first.resolve()
  }

  #requestModels(): void {
    this.#hasNew = true
    clearTimeout(this.#timer)
    this.#pending ??= this.#requestAll()
  }

  async #requestAll(): Promise<void> {
    while (this.#hasNew) {
      this.#hasNew = false
      const waiting = [...this.#endpoints]
      const ask = async (): Promise<void> => {
        for (let next = waiting.shift(); next; next = waiting.shift()) await this.#requestOne(next)
      }
      await Promise.all(Array.from({ length: maxConcurrent }, ask))
    }
    this.#first.resolve()
    this.#pending = undefined
    if (this.#stop.signal.aborted) return
    const { dnsIntervalMs, random } = this.#options
    const intervalMs = Math.min(modelsIntervalMs, dnsIntervalMs)
    this.#timer = setTimeout(() => this.#requestModels(), intervalMs * (0.8 + 0.4 * random())).unref()
  }

  async #requestOne(endpoint: ServerEndpoint): Promise<void> {
    const key = keyOf(endpoint)
    const known = this.#knownModels.get(key) ?? new Map()
    this.#knownModels.set(key, known)
    const { allowLinkLocal, lookup } = this.#options
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(listTimeoutMs)])
    const models = await listModels(this.#server, endpoint, known, { signal, allowLinkLocal, lookup })
    if (models === undefined || this.#stop.signal.aborted) return
    this.#setEndpoints(this.#endpoints.map((each) => (keyOf(each) === key ? { ...each, models } : each)))
  }

  #setEndpoints(endpoints: readonly ServerEndpoint[]): void {
    if (isDeepStrictEqual(endpoints, this.#endpoints)) return
    this.#endpoints = endpoints
    this.#options.onChange()
  }
}

function keyOf({ name = '', address = '', port = 0 }: ServerEndpoint): string {
  return `${name} ${address} ${port}`
}

function digestOf(address: string): string {
  return createHash('sha256').update(address).digest('hex').slice(0, 8)
}
