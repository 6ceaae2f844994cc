import { X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import type { Connection } from '../../sdk/transport.ts'
import { type Findings, memberPath, type ProviderAtPath } from '../models/check.ts'
import { type ProxyRule, proxyUrlError } from '../proxy-rule.ts'
import { expandVariables, readTextFile, type SecretSources } from '../secrets.ts'

export interface ConnectionSources extends SecretSources {
  allowLinkLocal?: boolean
  /** For servers without a proxy setting; absent: no proxy. */
  proxyOf?: ProxyRule
}

/**
 * Reads how the server at `origin` is reached; undefined for a direct connection with Node's CA certificates. Errors are added
 * to the findings, which never contain a secret.
 */
export function readConnection(
  entry: ProviderAtPath,
  origin: string,
  sources: ConnectionSources,
  findings: Findings,
): Connection | undefined {
  const tls = readTls(entry, sources, findings)
  const proxy = readProxy(entry, origin, sources, findings.errors)
  if (tls === undefined && proxy === undefined) return undefined
  if (tls !== undefined && !origin.startsWith('https:'))
    findings.warnings.push(
      `${entry.server?.path ?? entry.path}: ca_file and client_cert_file have no effect because api_host is not an https:// address`,
    )
  return { ...tls, ...(proxy === undefined ? {} : { proxy }) }
}

function readProxy(
  entry: ProviderAtPath,
  origin: string,
  { proxyOf, env, allowLinkLocal }: ConnectionSources,
  errors: string[],
): string | undefined {
  const configured = entry.provider.proxy?.trim()
  if (configured === undefined) return proxyOf?.(origin)
  if (configured === '') return undefined
  const at = memberPath(entry, 'proxy')
  const errorsBefore = errors.length
  const url = withCredentials(configured, at, env, errors)
  if (errors.length > errorsBefore) return undefined
  const error = proxyUrlError(url, allowLinkLocal)
  if (error === undefined) return url
  errors.push(`${at}: ${error}`)
  return undefined
}

/** Expands variables in a proxy URL. Values in user name and password are percent-encoded. */
function withCredentials(text: string, at: string, env: SecretSources['env'], errors: string[]): string {
  const [, scheme, credentials, rest] = /^([a-z]+:\/\/)(.*)@([^@]*)$/i.exec(text) ?? []
  if (scheme === undefined || credentials === undefined || rest === undefined)
    return expandVariables(text, at, env, errors).trim()
  const safe = expandVariables(credentials, at, env, errors, (value) => encodeURIComponent(value.trim()))
  return `${scheme}${safe}@${expandVariables(rest, at, env, errors)}`.trim()
}

type TlsFiles = Omit<Connection, 'proxy'>

function readTls(entry: ProviderAtPath, sources: SecretSources, findings: Findings): TlsFiles | undefined {
  const { provider } = entry
  const at = (field: string): string => memberPath(entry, field)
  const read = (field: 'ca_file' | 'client_cert_file' | 'client_key_file'): string | undefined => {
    const file = provider[field]?.trim() ?? ''
    return file === '' ? undefined : readTextFile(file, at(field), sources, findings.errors)
  }
  const before = findings.errors.length
  const [ca, clientCert, separateKey] = [read('ca_file'), read('client_cert_file'), read('client_key_file')]
  if (findings.errors.length > before) return undefined
  const clientKey = separateKey ?? (clientCert?.includes('PRIVATE KEY-----') ? clientCert : undefined)
  if (ca !== undefined) checkCertificates(ca, at('ca_file'), findings)
  if (clientCert !== undefined) checkCertificates(clientCert, at('client_cert_file'), findings)
  if (clientKey !== undefined && clientCert === undefined)
    findings.errors.push(`${at('client_cert_file')}: missing; client_key_file needs it`)
  if (clientCert !== undefined && clientKey === undefined)
    findings.errors.push(`${at('client_key_file')}: missing; client_cert_file needs it`)
  if (findings.errors.length > before) return undefined
  if (clientCert !== undefined && clientKey !== undefined) {
    const field = separateKey === undefined ? 'client_cert_file' : 'client_key_file'
    const error = keyError(clientCert, clientKey)
    if (error !== undefined) findings.errors.push(`${at(field)}: ${error}`)
    if (error !== undefined) return undefined
  }
  if (ca === undefined && clientCert === undefined) return undefined
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(clientCert === undefined ? {} : { clientCert }),
    ...(clientKey === undefined ? {} : { clientKey }),
  }
}

/** Reports invalid certificates, which OpenSSL would silently ignore. */
function checkCertificates(pem: string, at: string, { errors, warnings }: Findings): void {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
  const begun = pem.match(/-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----/g) ?? []
  if (begun.length === 0) errors.push(`${at}: contains no certificate in PEM format`)
  else if (begun.length > blocks.length) errors.push(`${at}: contains an incomplete certificate`)
  for (const [index, block] of blocks.entries()) {
    try {
      const { validToDate } = new X509Certificate(block)
      if (validToDate.getTime() < Date.now())
        warnings.push(`${at}: certificate ${index + 1} of ${blocks.length} has expired`)
    } catch {
      errors.push(`${at}: certificate ${index + 1} of ${blocks.length} cannot be read`)
    }
  }
}

function keyError(cert: string, key: string): string | undefined {
  if (!key.includes('PRIVATE KEY-----')) return 'contains no private key in PEM format'
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(key))
    return 'is protected by a passphrase, which is not supported'
  try {
    createSecureContext({ cert, key })
    return undefined
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (code === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH')
      return 'is not the key of the certificate in client_cert_file'
    return 'cannot be read as the private key of the certificate in client_cert_file'
  }
}
