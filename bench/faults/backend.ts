/** A model, which other proxies call a backend or an upstream: the ports of its servers. */
export interface Backend {
  name: string
  ports: readonly number[]
}
