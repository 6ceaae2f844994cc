// Behind a reverse proxy the router may be below a path, which only this page's own address tells.
const root = new URL(document.body.dataset.root, document.baseURI).href.replace(/\/$/, '')

// Everything that would ask another server is off: requests go to this router alone, and so does the page.
Scalar.createApiReference('#app', {
  url: new URL('openapi.json', document.baseURI).href,
  servers: [{ url: root, description: 'This router' }],
  withDefaultFonts: false,
  telemetry: false,
  hideClientButton: true,
  showDeveloperTools: 'never',
  agent: { disabled: true },
  mcp: { disabled: true },
  persistAuth: false,
  defaultHttpClient: { targetKey: 'shell', clientKey: 'curl' },
})
