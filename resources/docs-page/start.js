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
  // Its own greys have less contrast than WCAG AA asks for.
  customCss: `
    .light-mode { --scalar-color-2: #4a4f58; --scalar-color-3: #646a75; --scalar-color-green: #067a4e; --scalar-color-orange: #a15309; --scalar-color-blue: #0668b3; --scalar-color-red: #c2203a; }
    .dark-mode { --scalar-color-2: #b4bac4; --scalar-color-3: #9aa2ae; --scalar-color-red: #ff7b7b; }
    @media (prefers-reduced-motion: reduce) { *, ::before, ::after { animation: none !important; transition: none !important; } }
  `,
  defaultHttpClient: { targetKey: 'shell', clientKey: 'curl' },
})
