import type { FastifyInstance, FastifyRequest } from 'fastify'
import { acceptsHtml } from '../../../lib/html-pages.ts'
import { withoutBasePath } from '../../base-path.ts'
import type { ConsolePage } from '../../console/index.ts'
import { isForPeople } from '../route-audience.ts'

/**
 * The page that asks a browser for a key, instead of the error that a program gets; undefined for requests that do not
 * accept HTML, and for routes that are not meant for people.
 */
export function signInPage({
  config,
  console,
}: FastifyInstance): (request: FastifyRequest) => ConsolePage | undefined {
  if (!console) return () => undefined
  return (request) => {
    const isPage = request.method === 'GET' && !request.is404 && acceptsHtml(request.headers.accept)
    if (!isPage || !isForPeople(request.routeOptions.config)) return undefined
    const [path = ''] = withoutBasePath(request.originalUrl, config.basePath).split('?', 1)
    return console.page('sign-in.html', path)
  }
}
