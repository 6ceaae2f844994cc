/** Connection settings of a server that differ from Node's defaults. Contains secrets: never logged or returned. */
export interface Connection {
  /**
   * IP address to connect to instead of resolving the hostname in the URL, which remains the `Host` and the name that TLS
   * verifies.
   */
  readonly address?: string
  /** Replaces the port in the URL; only with `address`. */
  readonly port?: number
  /** CA certificates in PEM format, instead of those that Node trusts. */
  readonly ca?: string
  /** Client certificate with its chain, and its key, in PEM format. */
  readonly clientCert?: string
  readonly clientKey?: string
  /** URL of the HTTP proxy that connects to the server (CONNECT: RFC 9110, section 9.3.6), with its credentials. */
  readonly proxy?: string
}
