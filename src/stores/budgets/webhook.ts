import { createHmac } from 'node:crypto'
import { lookup } from 'node:dns'
import { request } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { isLinkLocalOrMetadata, withoutBrackets } from '../../lib/host-addresses.ts'

export interface Webhook {
  /** Resolves to an error message, or undefined on success. */
  send(id: string, body: string): Promise<string | undefined>
}

const timeoutMs = 10_000

/**
 * Creates a sender of signed messages as specified by Standard Webhooks (https://www.standardwebhooks.com): the signature is an
 * HMAC-SHA-256 of id, time and body. Follows no redirects and does not connect to link-local or metadata addresses.
 *
 * @param secret `whsec_` followed by base64, or any string.
 */
export function webhookTo(url: string, secret: string): Webhook {
  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice('whsec_'.length), 'base64') : secret
  const target = new URL(url)
  return {
    send(id, body) {
      const timestamp = Math.floor(Date.now() / 1000)
      const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
      const headers = {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'webhook-id': id,
        'webhook-timestamp': String(timestamp),
        'webhook-signature': `v1,${signature}`,
      }
      const host = withoutBrackets(target.hostname)
      if (isIP(host) !== 0 && isLinkLocalOrMetadata(host)) return Promise.resolve('a link-local address')
      return new Promise((resolve) => {
        const signal = AbortSignal.timeout(timeoutMs)
        const message = request(
          target,
          { method: 'POST', headers, lookup: checkedLookup, signal },
          (response) => {
            const { statusCode = 0 } = response
            response.resume()
            resolve(statusCode >= 200 && statusCode < 300 ? undefined : `HTTP ${statusCode}`)
          },
        )
        message.on('error', (error) => resolve(String(Object(error).code ?? error.name)))
        message.end(body)
      })
    },
  }
}

/** Checks addresses on each connection, because a name may resolve to another address later. */
const checkedLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error, [])
    const allowed = addresses.filter(({ address }) => !isLinkLocalOrMetadata(address))
    const [first] = allowed
    if (!first) return callback(Object.assign(new Error('a link-local address'), { code: 'ELINKLOCAL' }), [])
    if (options.all) return callback(null, allowed)
    callback(null, first.address, first.family)
  })
}
