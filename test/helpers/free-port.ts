import { once } from 'node:events'
import { createServer } from 'node:net'

/** A port of this machine on which no process listens now. */
export async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('no port')
  server.close()
  await once(server, 'close')
  return address.port
}
