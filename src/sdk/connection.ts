/** How a server is reached where that is not directly, over TLS as Node trusts it. Never shown: parts of it are secrets. */
export interface Connection {
  /** IP address to connect to, in place of those of the name in the URL, which is still the `Host` and the name that TLS verifies. */
  readonly address?: string
  /** In place of the port in the URL; only with `address`. */
  readonly port?: number
  /** CA certificates in PEM form, in place of the ones that Node trusts. */
  readonly ca?: string
  /** The certificate that the router shows, with its chain, and its key, in PEM form. */
  readonly clientCert?: string
  readonly clientKey?: string
  /** URL of the HTTP proxy that connects to the server (CONNECT: RFC 9110, section 9.3.6), with its credentials. */
  readonly proxy?: string
}
