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
