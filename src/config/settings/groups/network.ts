import { Type } from '@sinclair/typebox'
import { flag, seconds, text } from './setting-types.ts'

/** Proxies in both directions, name resolution, Kubernetes, and extensions. */
export const networkSettings = {
  trustedProxies: Type.Array(Type.String(), {
    default: [],
    allowed: 'a list of addresses and networks, such as 10.0.0.0/8, ::1',
    description: 'Addresses and networks whose `X-Forwarded-For` is trusted.',
  }),
  upstreamProxy: text(
    '',
    'HTTP proxy for servers outside the local network, such as `http://user:password@proxy:3128`. A provider can override it.',
  ),
  upstreamNoProxy: Type.Array(Type.String(), {
    default: [],
    description:
      'Additional servers to reach without the proxy: hosts, domains, addresses, networks such as `10.0.0.0/8`, or `*`.',
  }),
  dnsIntervalMs: seconds({
    default: 10_000,
    minimum: 1,
    description:
      'How often the hostnames of servers with `"addresses": "all"` are resolved. Model lists are requested equally often, and at least every 10 s.',
  }),
  kubernetesAccountDir: text(
    '/var/run/secrets/kubernetes.io/serviceaccount',
    'Directory with `token` and `ca.crt` of the service account, for servers with `kubernetes`; both are read for each connection. Empty disables watching.',
  ),
  allowLinkLocal: flag(false, 'Allows link-local and cloud metadata addresses of servers.'),
  extensions: Type.Array(Type.String(), {
    default: [],
    description: 'Your own modules, packages or files, loaded in this order: [extending.md](extending.md).',
  }),
}
