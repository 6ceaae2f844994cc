import { isLinkLocalOrMetadata } from '../../lib/link-local.ts'
import { withoutTrailingSlashes } from '../../lib/trailing-slashes.ts'

/**
 * Why a text is not a valid server URL, as a phrase to follow its path; undefined if valid. The phrase never
 * contains the text, which may contain a key.
 */
export function hostError(apiHost: string, allowLinkLocal = false): string | undefined {
  const url = URL.parse(apiHost)
  if (/^(?:localhost|[\w-]+(?:\.[\w-]+)+|[\w.-]+:\d+)(?::\d+)?(?:\/|$)/.test(apiHost))
    return 'is not an http:// or https:// address; http:// is missing in front'
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    return 'is not an http:// or https:// address'
  if (url.username !== '' || url.password !== '')
    return 'must not contain a user name or password; use api_token or api_token_file'
  // URL has normalized decimal, octal and hexadecimal notations: https://url.spec.whatwg.org/#host-parsing
  if (!allowLinkLocal && isLinkLocalOrMetadata(url.hostname.replace(/^\[|\]$/g, '')))
    return 'is a link-local or cloud metadata address; LLM_ROUTER_ALLOW_LINK_LOCAL=1 allows these'
  return undefined
}

/**
 * Joins a server's URL and an operation's path, accepting all common forms of base URLs: the root of the
 * host, the root of its API (`/v1`, `/v1beta/openai`, Ollama's `/api`), or the whole address of the operation. The
 * prefix of a reverse proxy and a query string stay. Ollama is called through its own API even where the base names
 * its OpenAI one. `overridePath` is relative to the root of the host and may have its own query.
 * Throws TypeError if `apiHost` is not a URL, see {@link hostError}.
 */
export function joinUrl(
  apiHost: string,
  standardPath: string,
  overridePath?: string,
): { origin: string; path: string } {
  const url = new URL(apiHost)
  const [standard = '', standardQuery = ''] = splitOnce(standardPath, '?')
  const [override, query = standardQuery] = splitOnce(overridePath, '?')
  const path = override ?? joinPaths(withoutTrailingSlashes(url.pathname), standard)
  const search = [url.search.slice(1), query].filter((part) => part !== '').join('&')
  url.pathname = path
  url.search = search
  return { origin: url.origin, path: url.pathname + url.search }
}

/**
 * URL of a server's health check: the root of `api_host`, without its API part (`/v1`, `/api`, a whole
 * operation path), and the path of the check.
 */
export function healthUrl(apiHost: string, path: string): string {
  const base = withoutTrailingSlashes(new URL(apiHost).pathname)
  const root = base
    .replace(/\/(?:chat\/completions|api\/chat|messages)$/, '')
    .replace(/\/(?:v\d+[a-z0-9]*|api)$/i, '')
  return root + path
}

function joinPaths(given: string, standardPath: string): string {
  const base =
    isWhole(given) && !isWhole(standardPath)
      ? given.replace(/\/(?:chat\/completions|chat|messages)$/, '')
      : given
  if (standardPath.startsWith('/api/'))
    return joinNative(base.replace(/\/v1(?:\/chat\/completions)?$/, ''), standardPath)
  if (isWhole(base)) return base
  // Such an operation is next to the versioned ones, not below them (vLLM's `/tokenize`).
  if (!/^\/v\d+\//.test(standardPath)) return base.replace(/\/v\d+[a-z0-9]*$/i, '') + standardPath
  const isApiRoot = /\/(?:v\d+[a-z0-9]*|openai)$/i.test(base)
  return base + (isApiRoot ? standardPath.replace(/^\/v\d+(?=\/)/, '') : standardPath)
}

function joinNative(base: string, standardPath: string): string {
  if (isWhole(base)) return base
  return base + (base.endsWith('/api') ? standardPath.slice('/api'.length) : standardPath)
}

function isWhole(base: string): boolean {
  return base.endsWith('/chat/completions') || base.endsWith('/api/chat') || base.endsWith('/v1/messages')
}

function splitOnce(text: string | undefined, separator: string): [string | undefined, string?] {
  const at = text?.indexOf(separator) ?? -1
  return text === undefined || at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}
