import { isObject } from '../../lib/json/read.ts'
import { scanObject } from '../../lib/json/splice.ts'
import type { ClientRequest } from '../../relay/request/client-request.ts'
import { badRequest } from '../../sdk/errors.ts'

/** The same request with other bytes. */
export function clientOfBody(client: ClientRequest, bytes: Buffer): ClientRequest {
  const scan = scanObject(bytes)
  const body: unknown = JSON.parse(bytes.toString())
  if (!scan || !isObject(body)) throw badRequest('The body must be a JSON object')
  const { remembers } = client
  return {
    ...client,
    source: { from: 'client', bytes, scan },
    outline: body,
    readBody: () => body,
    ...(remembers === undefined ? {} : { remembers }),
  }
}
