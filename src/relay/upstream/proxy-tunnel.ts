import type { Socket } from 'node:net'
import { getCACertificates } from 'node:tls'
import { buildConnector } from 'undici'
import { ConnectError, codeOf, tlsError } from '../../lib/connect-error.ts'
import { withoutBrackets } from '../../lib/host-addresses.ts'

type Connector = buildConnector.connector
type ConnectorOptions = Parameters<typeof buildConnector>[0]

/** Maximum size of a proxy's response head. */
const maxHeadBytes = 16 * 1024

export interface ProxyTunnelOptions {
  /** URL of the proxy, with its credentials. */
  proxy: string
  /** Timeout for connecting to the proxy and for its response, in milliseconds. */
  timeoutMs: number
  /** For the connection to the proxy. */
  connect: ConnectorOptions
  /** CA certificates for a proxy with an https:// address, besides those that Node trusts. */
  ca: string | undefined
  /** Establishes TLS over the tunnel, for servers with an https:// address. */
  secure: Connector
}

/**
 * Connects through an HTTP proxy, with or without TLS: CONNECT, RFC 9110, section 9.3.6. The proxy resolves the name of
 * the server. Errors before the tunnel is established are ConnectErrors.
 */
export function proxyTunnel({ proxy, timeoutMs, connect, ca, secure }: ProxyTunnelOptions): Connector {
  const url = new URL(proxy)
  const toProxy = buildConnector({
    ...connect,
    ...(ca === undefined ? {} : { ca: [...getCACertificates('default'), ca] }),
  })
  const address = {
    hostname: withoutBrackets(url.hostname),
    host: url.host,
    protocol: url.protocol,
    port: url.port,
  }
  const authorization = authorizationOf(url)
  return (options, done) => {
    const { hostname, port, protocol } = options
    const authority = `${hostname.includes(':') ? `[${withoutBrackets(hostname)}]` : hostname}:${port || (protocol === 'https:' ? '443' : '80')}`
    toProxy(address, (error, socket) => {
      if (error) {
        done(proxyError(error), null)
        return
      }
      openTunnel(socket, { authority, authorization, timeoutMs }, (error) => {
        if (error) {
          socket.on('error', () => undefined).destroy()
          done(error, null)
        } else if (protocol === 'https:') secure({ ...options, httpSocket: socket }, done)
        else done(null, socket)
      })
    })
  }
}

function authorizationOf({ username, password }: URL): string {
  if (username === '' && password === '') return ''
  const plain = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return `proxy-authorization: Basic ${Buffer.from(plain).toString('base64')}\r\n`
}

interface Tunnel {
  /** `host:port` */
  authority: string
  /** A whole header line, or nothing. */
  authorization: string
  timeoutMs: number
}

/** Requests the tunnel, and reads the response. Calls back once. */
function openTunnel(
  socket: Socket,
  { authority, authorization, timeoutMs }: Tunnel,
  done: (error: Error | undefined) => void,
): void {
  let head = ''
  const end = (error?: Error): void => {
    clearTimeout(timer)
    socket.off('readable', onReadable).off('end', onEnd).off('error', onError)
    done(error)
  }
  const onEnd = (): void => end(new ConnectError('PROXY_CLOSED', 'the proxy closed the connection'))
  const onError = (error: Error): void => end(proxyError(error))
  const onReadable = (): void => {
    const chunk: unknown = socket.read()
    if (Buffer.isBuffer(chunk)) head += chunk.toString('latin1')
    const length = head.indexOf('\r\n\r\n')
    // The router speaks first, so bytes after the head are not part of the tunnel.
    if (length !== -1) end(answerError(head, head.length > length + 4))
    else if (head.length > maxHeadBytes) end(unreadable())
  }
  const timer = setTimeout(() => {
    end(new ConnectError('PROXY_TIMEOUT', 'the proxy did not connect in time'))
  }, timeoutMs)
  socket.on('readable', onReadable).on('end', onEnd).on('error', onError)
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nhost: ${authority}\r\n${authorization}\r\n`)
}

function answerError(head: string, goesOn: boolean): ConnectError | undefined {
  const [, status = ''] = /^HTTP\/1\.[01] (\d{3})(?: |\r)/.exec(head) ?? []
  if (status === '') return unreadable()
  if (status === '407') return new ConnectError('PROXY_AUTH', 'the proxy refused its credentials (407)')
  if (!status.startsWith('2'))
    return new ConnectError(`PROXY_HTTP_${status}`, `the proxy did not connect to it (${status})`)
  return goesOn ? unreadable() : undefined
}

function unreadable(): ConnectError {
  return new ConnectError('PROXY_ANSWER', 'the proxy sent a response that cannot be read')
}

/** Errors without a code are internal, and errors unrelated to the proxy are returned unchanged. */
function proxyError(error: Error): Error {
  const tls = tlsError(error)
  if (tls) return new ConnectError('PROXY_TLS', `the proxy cannot be trusted: ${tls.message}`, error)
  if (/^(?:EMFILE|ENFILE|ENOMEM|ENOBUFS)$/.test(codeOf(error))) return error
  if (codeOf(error) === 'UND_ERR_CONNECT_TIMEOUT')
    return new ConnectError('PROXY_TIMEOUT', 'the proxy did not connect in time', error)
  return new ConnectError('PROXY_UNREACHABLE', 'the proxy cannot be reached', error)
}
