import { withoutTrailingSlashes } from '../../lib/endpoint-paths.ts'
import { isLinkLocalOrMetadata, withoutBrackets } from '../../lib/host-addresses.ts'

/**
 * Returns why a text is not a valid server URL, as a predicate that does not quote the text, which may contain a key; undefined
 * if it is valid.
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
  if (!allowLinkLocal && isLinkLocalOrMetadata(withoutBrackets(url.hostname)))
    return 'is a link-local or cloud metadata address; LLM_ROUTER_ALLOW_LINK_LOCAL=1 allows these'
  return undefined
}

/**
 * Joins a server's URL and an operation's path. Accepts all common forms of base URLs: the root of the host, the root of its
 * API (`/v1`, `/v1beta/openai`, Ollama's `/api`), or the full URL of the operation. The prefix of a reverse proxy and a query
 * string are kept. Ollama is called through its native API even if the base names its OpenAI one. `overridePath` is relative to
 * the root of the host and may have its own query. Throws TypeError if `apiHost` is not a URL, see {@link hostError}.
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
 * Returns the URL path of a server's own endpoint: `path` below the root of `api_host`, without its API part (`/v1`, `/api`, or
 * a full operation path).
 */
export function healthUrl(apiHost: string, path: string): string {
  const base = withoutTrailingSlashes(new URL(apiHost).pathname)
  const root = base
    .replace(/\/(?:chat\/completions|api\/chat|messages)$/, '')
    .replace(/\/(?:v\d+[a-z0-9]*|api)$/i, '')
  return root + path
}

function joinPaths(basePath: string, standardPath: string): string {
  const base =
    isOperationPath(basePath) && !isOperationPath(standardPath)
      ? basePath.replace(/\/(?:chat\/completions|chat|messages)$/, '')
      : basePath
  if (standardPath.startsWith('/api/'))
    return joinNative(base.replace(/\/v1(?:\/chat\/completions)?$/, ''), standardPath)
  if (isOperationPath(base)) return base
  // Unversioned operations (vLLM's `/tokenize`) are next to the versioned ones, not below them.
  if (!/^\/v\d+\//.test(standardPath)) return base.replace(/\/v\d+[a-z0-9]*$/i, '') + standardPath
  const isApiRoot = /\/(?:v\d+[a-z0-9]*|openai)$/i.test(base)
  return base + (isApiRoot ? standardPath.replace(/^\/v\d+(?=\/)/, '') : standardPath)
}

function joinNative(base: string, standardPath: string): string {
  if (isOperationPath(base)) return base
  return base + (base.endsWith('/api') ? standardPath.slice('/api'.length) : standardPath)
}

function isOperationPath(base: string): boolean {
  return base.endsWith('/chat/completions') || base.endsWith('/api/chat') || base.endsWith('/v1/messages')
}

function splitOnce(text: string | undefined, separator: string): [string | undefined, string?] {
  const at = text?.indexOf(separator) ?? -1
  return text === undefined || at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)]
}
