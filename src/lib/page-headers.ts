/** A page runs and loads only its own files, and no other page can embed it. */
export const pageHeaders = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
  'x-content-type-options': 'nosniff',
  // Without HTTPS, the only evidence that a request for events comes from this page.
  'referrer-policy': 'same-origin',
  'cache-control': 'no-cache',
}
