import { setTimeout as delay } from 'node:timers/promises'
import { isObject, objectsIn, parseJson } from '../../../lib/json/read.ts'
import { type KubernetesApi, KubernetesError } from './api.ts'
import { type EndpointSlice, readSlice } from './endpoint-slices.ts'

export interface FleetLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

export interface SliceWatchOptions {
  api: Pick<KubernetesApi, 'get' | 'lines'>
  namespace: string
  service: string
  log: FleetLog
  /** 0 (inclusive) to 1 (exclusive). */
  random(): number
  /** Called after each change of `slices`, and once if the first list fails. */
  onChange(): void
}

/** How long the API server is asked to keep a watch open, ±20 %, in seconds. */
const watchSeconds = 240
/** How long a list may take to respond, and how late the server may be in ending a watch, in milliseconds. */
const graceMs = 15_000
/** Interval of full lists, which repair whatever a watch has missed, in milliseconds. */
const resyncMs = 10 * 60_000
/** Pause after the first failure, in milliseconds; it doubles with each further failure. */
const firstPauseMs = 500
const maxPauseMs = 30_000
const pageSize = 500

/**
 * The EndpointSlices of a Service by list and watch:
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes. The last known
 * slices stay in use while the API server is unreachable.
 */
export class SliceWatch {
  readonly #options: SliceWatchOptions
  readonly #stop = new AbortController()
  readonly #path: string
  #slices: Map<string, EndpointSlice> | undefined
  #failures = 0
  #warned = false

  constructor(options: SliceWatchOptions) {
    this.#options = options
    const { namespace, service } = options
    const selector = encodeURIComponent(`kubernetes.io/service-name=${service}`)
    this.#path = `/apis/discovery.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/endpointslices?labelSelector=${selector}`
    void this.#run()
  }

  /** By name; undefined until the first list. */
  get slices(): ReadonlyMap<string, EndpointSlice> | undefined {
    return this.#slices
  }

  stop(): void {
    this.#stop.abort()
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        let version = await this.#list()
        for (const end = performance.now() + resyncMs; performance.now() < end; )
          version = await this.#watch(version)
      } catch (error) {
        if (this.#stop.signal.aborted) return
        await this.#onFailure(error)
      }
    }
  }

  /** Lists all slices, page by page. Returns their resource version, where the watch starts. */
  async #list(): Promise<string> {
    const slices = new Map<string, EndpointSlice>()
    let version = ''
    let next = ''
    do {
      const more = next === '' ? '' : `&continue=${encodeURIComponent(next)}`
      const page = await this.#options.api.get(`${this.#path}&limit=${pageSize}${more}`, {
        signal: this.#stop.signal,
        idleMs: graceMs,
      })
      if (!isObject(page) || !isObject(page.metadata))
        throw new KubernetesError(0, 'the response is not a list')
      for (const item of objectsIn(page.items)) {
        const slice = readSlice(item)
        if (slice) slices.set(slice.name, slice)
      }
      version = String(page.metadata.resourceVersion ?? '')
      next = typeof page.metadata.continue === 'string' ? page.metadata.continue : ''
    } while (next !== '')
    this.#slices = slices
    this.#onSuccess()
    this.#options.onChange()
    return version
  }

  /** Applies changes until the server ends the watch. Returns the resource version of the last one. */
  async #watch(from: string): Promise<string> {
    const { api, random } = this.#options
    const seconds = Math.round(watchSeconds * (0.8 + 0.4 * random()))
    let version = from
    const path = `${this.#path}&watch=1&allowWatchBookmarks=true&timeoutSeconds=${seconds}&resourceVersion=${encodeURIComponent(from)}`
    const began = performance.now()
    await api.lines(path, { signal: this.#stop.signal, idleMs: seconds * 1000 + graceMs }, (line) => {
      version = this.#apply(parseJson(line)) ?? version
    })
    // Prevents a busy loop against a server that ends each watch at once.
    if (performance.now() - began < firstPauseMs)
      await delay(firstPauseMs, undefined, { signal: this.#stop.signal })
    return version
  }

  /** Returns the resource version of the event. */
  #apply(event: unknown): string | undefined {
    const { type, object } = isObject(event) ? event : {}
    const { metadata, code, message } = isObject(object) ? object : {}
    if (type === 'ERROR')
      throw new KubernetesError(typeof code === 'number' ? code : 0, String(message ?? 'the watch failed'))
    const version = isObject(metadata) ? metadata.resourceVersion : undefined
    if (type !== 'BOOKMARK') {
      const slice = readSlice(object)
      if (!slice) throw new KubernetesError(0, 'an event of the watch is not an EndpointSlice')
      const slices = new Map(this.#slices)
      if (type === 'DELETED') slices.delete(slice.name)
      else slices.set(slice.name, slice)
      this.#slices = slices
      this.#options.onChange()
    }
    this.#onSuccess()
    return typeof version === 'string' ? version : undefined
  }

  #onSuccess(): void {
    const { log, namespace, service } = this.#options
    if (this.#warned) log.info({ namespace, service }, 'the Kubernetes API answers again')
    this.#warned = false
    this.#failures = 0
  }

  /** An expired resource version (410) is part of the protocol: the first one only leads to a new list, without a pause. */
  async #onFailure(error: unknown): Promise<void> {
    const { log, namespace, service, random, onChange } = this.#options
    const status = error instanceof KubernetesError ? error.status : 0
    this.#failures++
    if (status === 410 && this.#failures === 1) return
    // A single broken watch is normal; only a repeated failure is worth a warning.
    if (!this.#warned && (this.#failures > 1 || this.#slices === undefined)) {
      this.#warned = true
      const reason = error instanceof Error ? error.message : String(error)
      const fields = { namespace, service, error_cause: status === 0 ? reason : `HTTP_${status}` }
      log.warn(fields, warningText(status))
    }
    if (this.#slices === undefined) onChange()
    const pauseMs = Math.min(maxPauseMs, firstPauseMs * 2 ** (this.#failures - 1))
    await delay(pauseMs * (0.8 + 0.4 * random()), undefined, { signal: this.#stop.signal, ref: false }).catch(
      () => undefined,
    )
  }
}

function warningText(status: number): string {
  const known = 'the last known pods stay in use'
  if (status === 401 || status === 403)
    return `the Kubernetes API does not let the service account list and watch EndpointSlices; ${known}`
  return `the Kubernetes API cannot be watched; ${known}`
}
