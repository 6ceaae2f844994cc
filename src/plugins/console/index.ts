import { createHash } from 'node:crypto'
import fp from 'fastify-plugin'
import { relativePath } from '../../lib/endpoint-paths.ts'
import { pageHeaders } from '../../lib/html-pages.ts'
import { type ConsoleFile, type ConsoleFiles, readConsoleFiles } from './files.ts'

/** A page that works at any address because it only uses relative URLs. */
export interface ConsolePage {
  html: string
  headers: Readonly<Record<string, string>>
}

declare module 'fastify' {
  interface FastifyInstance {
    /** The web console; undefined with LLM_ROUTER_UI=0. */
    console: ConsoleDelivery | undefined
  }
}

interface ConsoleDelivery {
  /** Part of the path of all files, which changes with their content. */
  readonly build: string
  file(name: string): ConsoleFile | undefined
  /** The page for a request to this path. `ui`: one of the console's two paths. */
  page(name: 'index.html' | 'sign-in.html' | 'not-found.html', path: string, ui?: string): ConsolePage
}

/** The files of the web console, and its pages for each path depth. */
export default fp(
  (app, _options, done) => {
    const { ui, endpointPrefix: prefix, oidcIssuer } = app.config
    if (!ui) {
      app.decorate('console', undefined)
      return done()
    }
    // Read on the first request for it: most workers and routers never serve the console.
    let read: ConsoleFiles | undefined
    const files = (): ConsoleFiles => {
      read ??= readConsoleFiles()
      return read
    }
    const provider = oidcIssuer === '' ? '' : providerLink
    const pages = new Map<string, ConsolePage>()
    const render = (name: Parameters<ConsoleFiles['template']>[0], path: string, ui: string): ConsolePage => {
      const { build, importMap, preloads, template } = files()
      const base = relativePath(path, `${prefix}/ui/${build}`)
      const map = importMap(base.startsWith('.') ? base : `./${base}`)
      const values: Readonly<Record<string, string>> = {
        files: base,
        api: relativePath(path, `${prefix}/status`).replace(/status$/, ''),
        ui: relativePath(path, ui),
        session: relativePath(path, `${prefix}/session`),
      }
      const html = template(name)
        .replace('"{{imports}}"', map)
        .replace('{{preloads}}', preloads.map((file) => preload(`${base}/${file}`)).join(''))
        .replace('<!-- provider -->', provider)
        // Paths of a configuration contain no characters that are special in HTML.
        .replaceAll(/\{\{(\w+)\}\}/g, (_whole, value) => values[value] ?? '')
      return { html, headers: headersOf(name === 'index.html' ? map : undefined) }
    }
    app.decorate('console', {
      get build() {
        return files().build
      },
      file: (name) => files().find(name),
      page(name, path, ui = `${prefix}/ui`) {
        const key = [name, relativePath(path, `${prefix}/x`), relativePath(path, ui)].join(' ')
        const page = pages.get(key) ?? render(name, path, ui)
        // Addresses of the same depth share a page, so the cache stays small for realistic paths.
        if (pages.size < maxPages) pages.set(key, page)
        return page
      },
    })
    done()
  },
  { name: 'console', dependencies: ['config'] },
)

const maxPages = 50

const preload = (href: string): string => `<link rel="modulepreload" href="${href}">`

const providerLink =
  '<p class="or">or</p><p><a class="button wide" href="{{session}}/oidc">Sign in with your organization</a></p>'

/** The import map is the only inline script; the playground previews images as `data:` URLs. */
function headersOf(importMap: string | undefined): ConsolePage['headers'] {
  const policy = pageHeaders['content-security-policy'].replace(
    "img-src 'self'",
    "img-src 'self' data: blob:",
  )
  if (importMap === undefined) return { ...pageHeaders, 'content-security-policy': policy }
  const hash = createHash('sha256').update(importMap).digest('base64')
  const withMap = policy.replace("script-src 'self'", `script-src 'self' 'sha256-${hash}'`)
  return { ...pageHeaders, 'content-security-policy': withMap }
}
