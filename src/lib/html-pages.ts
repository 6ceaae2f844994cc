/** Whether an `Accept` header asks for HTML explicitly. A wildcard, which most programs send, does not count. */
export function acceptsHtml(accept: string | undefined): boolean {
  return (accept ?? '').split(',').some((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    return type === 'text/html' && !parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter))
  })
}

/** Security headers of the console's pages: they load only files of this router, and cannot be embedded. */
export const pageHeaders = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
  'x-content-type-options': 'nosniff',
  // Without HTTPS, `Referer` is the only evidence that a request for events comes from this page.
  'referrer-policy': 'same-origin',
  'cache-control': 'no-cache',
}
