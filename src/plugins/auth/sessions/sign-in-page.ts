import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { relativePath } from '../../../lib/endpoint-paths.ts'
import { withoutBasePath } from '../../base-path.ts'
import { isForOperators } from '../operator-proof.ts'

const pageFolder = join(import.meta.dirname, '../../../../resources/ui')

/**
 * The page that asks a browser for a key, in place of the error that a program gets; undefined for whoever does not
 * accept HTML, and for what is not for operators.
 */
export function signInPage({ config }: FastifyInstance): (request: FastifyRequest) => string | undefined {
  if (!config.ui) return () => undefined
  const html = readFileSync(join(pageFolder, 'sign-in.html'), 'utf8')
  const provider = config.oidcIssuer === '' ? '' : providerLink
  const { endpointPrefix: prefix, basePath } = config
  return (request) => {
    const isPage = request.method === 'GET' && !request.is404 && acceptsHtml(request.headers.accept)
    if (!isPage || !isForOperators(request.routeOptions.config)) return undefined
    const [path = ''] = withoutBasePath(request.originalUrl, basePath).split('?', 1)
    const filled: Readonly<Record<string, string>> = {
      files: relativePath(path, `${prefix}/ui/`).replace(/\/$/, ''),
      session: relativePath(path, `${prefix}/session`),
    }
    return html
      .replace('<!-- provider -->', provider)
      .replaceAll(/\{\{(\w+)\}\}/g, (_whole, name) => filled[name] ?? '')
  }
}

const providerLink = '<p><a href="{{session}}/oidc">Sign in with your organization</a></p>'

// Programs send */*, which therefore does not count.
function acceptsHtml(accept: string | undefined): boolean {
  return (accept ?? '').split(',').some((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    return type === 'text/html' && !parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter))
  })
}
