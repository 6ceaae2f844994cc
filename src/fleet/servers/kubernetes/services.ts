import type { ServerEndpoint } from '../../../config/servers/published.ts'
import { KubernetesApi, type KubernetesApiOptions } from './api.ts'
import { endpointsOfSlices } from './endpoint-slices.ts'
import { type FleetLog, SliceWatch } from './slice-watch.ts'

export interface KubernetesService {
  namespace: string
  service: string
  /** Number or name; if absent, the Service's first port. */
  port?: number | string
}

type Listener = (endpoints: readonly ServerEndpoint[] | undefined) => void

/** Watches the EndpointSlices of Services, with one watch per Service, however many servers of the configuration use it. */
export class KubernetesServices {
  readonly #isDisabled: boolean
  readonly #api: KubernetesApi
  readonly #log: FleetLog
  readonly #watches = new Map<string, { watch: SliceWatch; listeners: Set<() => void> }>()

  constructor({ log, ...options }: KubernetesApiOptions & { log: FleetLog }) {
    this.#isDisabled = options.directory === ''
    this.#api = new KubernetesApi(options)
    this.#log = log
  }

  /**
   * Calls the listener with the endpoints of a Service after each change, or with undefined while they could never be read.
   * Returns the function that unsubscribes.
   */
  follow({ namespace, service, port }: KubernetesService, listener: Listener): () => void {
    if (this.#isDisabled) {
      listener(undefined)
      return () => undefined
    }
    const key = JSON.stringify([namespace, service])
    const shared = this.#watches.get(key) ?? this.#start(key, namespace, service)
    const read = (): void => {
      const { slices } = shared.watch
      listener(slices && endpointsOfSlices(slices.values(), port))
    }
    shared.listeners.add(read)
    if (shared.watch.slices) read()
    return () => {
      shared.listeners.delete(read)
      if (shared.listeners.size > 0) return
      shared.watch.stop()
      this.#watches.delete(key)
    }
  }

  close(): void {
    for (const { watch } of this.#watches.values()) watch.stop()
    this.#watches.clear()
    this.#api.close()
  }

  #start(key: string, namespace: string, service: string) {
    const listeners = new Set<() => void>()
    const watch = new SliceWatch({
      api: this.#api,
      namespace,
      service,
      log: this.#log,
      random: Math.random,
      onChange: () => {
        for (const listener of listeners) listener()
      },
    })
    const shared = { watch, listeners }
    this.#watches.set(key, shared)
    return shared
  }
}
