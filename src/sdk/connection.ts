/** How a server is reached where that is not directly, over TLS as Node trusts it. Never shown: parts of it are secrets. */
export interface Connection {
  /** CA certificates in PEM form, in place of the ones that Node trusts. */
  readonly ca?: string
  /** The certificate that the router shows, with its chain, and its key, in PEM form. */
  readonly clientCert?: string
  readonly clientKey?: string
  /** URL of the HTTP proxy that connects to the server (CONNECT: RFC 9110, section 9.3.6), with its credentials. */
  readonly proxy?: string
}
