/** A connection or TLS failure. The message contains no address, so it may go to clients and the log. */
export class ConnectError extends Error {
  readonly code: string

  constructor(code: string, words: string, cause?: unknown) {
    super(words, cause === undefined ? undefined : { cause })
    this.name = 'ConnectError'
    this.code = code
  }
}

const invalid = ['TLS_CERT_INVALID', 'its TLS certificate is invalid'] as const
const unknownCa = ['TLS_UNKNOWN_CA', 'its TLS certificate is signed by an unknown CA'] as const
const wrongName = ['TLS_WRONG_NAME', 'its TLS certificate is for another name (wrong name)'] as const

/** Keys: error codes of Node and OpenSSL; https://nodejs.org/docs/latest-v24.x/api/tls.html#x509-certificate-error-codes. */
const certificateErrors: Readonly<Record<string, readonly [code: string, words: string]>> = {
  CERT_HAS_EXPIRED: ['TLS_CERT_EXPIRED', 'its TLS certificate has expired'],
  CERT_NOT_YET_VALID: ['TLS_CERT_NOT_YET_VALID', 'its TLS certificate is not valid yet'],
  ERR_TLS_CERT_ALTNAME_INVALID: wrongName,
  HOSTNAME_MISMATCH: wrongName,
  DEPTH_ZERO_SELF_SIGNED_CERT: ['TLS_SELF_SIGNED', 'its TLS certificate is self-signed and not trusted'],
  SELF_SIGNED_CERT_IN_CHAIN: unknownCa,
  UNABLE_TO_GET_ISSUER_CERT: unknownCa,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unknownCa,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unknownCa,
  CERT_REVOKED: ['TLS_CERT_REVOKED', 'its TLS certificate is revoked'],
  CERT_SIGNATURE_FAILURE: invalid,
  CERT_UNTRUSTED: invalid,
  CERT_REJECTED: invalid,
  CERT_CHAIN_TOO_LONG: invalid,
  ERR_TLS_CERT_ALTNAME_FORMAT: invalid,
  ERROR_IN_CERT_NOT_BEFORE_FIELD: invalid,
  ERROR_IN_CERT_NOT_AFTER_FIELD: invalid,
  INVALID_CA: invalid,
  INVALID_PURPOSE: invalid,
  PATH_LENGTH_EXCEEDED: invalid,
}

/**
 * Converts a TLS error; undefined for any other error. A server that verifies client certificates may reject one after the
 * handshake is complete for the client (RFC 8446, section 4.4.2.4), so the error may first occur on a read.
 */
export function tlsError(error: Error): ConnectError | undefined {
  const code = codeOf(error)
  const known = Object.hasOwn(certificateErrors, code) ? certificateErrors[code] : undefined
  if (known) return new ConnectError(...known, error)
  return code === 'EPROTO' || /^ERR_(?:SSL|OSSL|TLS)_/.test(code)
    ? handshakeFailed(whyOf(code), error)
    : undefined
}

/** Converts an error during the TLS handshake; an error of another kind is returned unchanged. */
export function handshakeError(error: Error): Error {
  const known = tlsError(error)
  if (known) return known
  // Node has no code for "Client network socket disconnected before secure TLS connection was established".
  if (!error.message.includes('before secure TLS connection')) return error
  return handshakeFailed('the server closed the connection', error)
}

function handshakeFailed(why: string, error: Error): ConnectError {
  return new ConnectError('TLS_HANDSHAKE', `the TLS handshake failed${why === '' ? '' : `: ${why}`}`, error)
}

function whyOf(code: string): string {
  if (/CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE/.test(code)) return 'the server may want a client certificate'
  if (code.includes('ALERT') && /CERTIFICATE|UNKNOWN_CA|DECRYPT_ERROR/.test(code))
    return 'the server refused the client certificate'
  if (/WRONG_VERSION_NUMBER|HTTP_REQUEST|PACKET_LENGTH_TOO_LONG/.test(code))
    return 'the server does not speak TLS on this port'
  if (/PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/.test(code)) return 'no common TLS version'
  return ''
}

export function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : ''
}
