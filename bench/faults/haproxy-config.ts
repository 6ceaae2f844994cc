import type { Backend } from './backend.ts'

/**
 * The best HAProxy configuration for this purpose: it retries everything that 2.6 can retry, on another server, observes
 * responses, checks health, and closes the server connection when the client disconnects
 * (https://docs.haproxy.org/2.6/configuration.html#4.2-retry-on).
 */
export function haproxyConfig(port: number, backends: readonly Backend[], timeoutSeconds: number): string {
  return `
global
  maxconn 1000
defaults
  mode http
  timeout connect ${timeoutSeconds}s
  timeout server ${timeoutSeconds}s
  timeout queue ${timeoutSeconds}s
  timeout client 30s
  timeout http-request 5s
  retries 3
  option redispatch 1
  retry-on all-retryable-errors 401 403 404 408 425 501
  option http-buffer-request
  option http-no-delay
  option abortonclose
  option httpchk GET /health
frontend all
  bind 127.0.0.1:${port}
  use_backend %[req.hdr(x-backend)]
${backends.map(backend).join('\n')}
`
}

function backend({ name, ports }: Backend): string {
  const servers = ports.map(
    (port, index) =>
      `  server s${index} 127.0.0.1:${port} check inter 5s observe layer7 error-limit 5 on-error mark-down`,
  )
  return `backend ${name}\n  balance roundrobin\n${servers.join('\n')}`
}
