import fp from 'fastify-plugin'
import { ConfigError } from '../sdk/errors.ts'

/**
 * With LLM_ROUTER_BASE_PATH, the router also serves its routes below that path, for a reverse proxy that forwards paths
 * unchanged. Paths without the prefix keep working, because probes and scrapers bypass the proxy.
 */
export default fp(
  (app, _options, done) => {
    const { basePath } = app.config
    if (basePath === '') return done()
    const urls = new Set<string>()
    app.addHook('onRoute', ({ url }) => {
      urls.add(url)
    })
    app.addHook('onReady', async () => {
      const hidden = [...urls].find((url) => url === basePath || url.startsWith(`${basePath}/`))
      if (hidden !== undefined)
        throw new ConfigError([
          `LLM_ROUTER_BASE_PATH: ${basePath} would hide the router's own path ${hidden}`,
        ])
    })
    done()
  },
  { name: 'base-path', dependencies: ['config'] },
)

/** Strips the base path from a request target: `/llm/v1/models?limit=1` becomes `/v1/models?limit=1` below `/llm`. */
export function withoutBasePath(target: string, basePath: string): string {
  if (basePath === '' || !target.startsWith(basePath)) return target
  const rest = target.slice(basePath.length)
  if (rest.startsWith('/')) return rest
  return rest === '' || rest.startsWith('?') ? `/${rest}` : target
}
