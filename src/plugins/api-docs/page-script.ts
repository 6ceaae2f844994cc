import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

/**
 * Scalar's script for the page, compressed with gzip. Its package is a module of 5 MB: it is read in a thread of its own,
 * which neither keeps answers waiting nor stays in memory.
 */
export async function loadPageScript(): Promise<Buffer> {
  const worker = new Worker(new URL('./page-script-worker.ts', import.meta.url))
  const [bytes] = await once(worker, 'message')
  if (!(bytes instanceof Uint8Array)) throw new Error('the script of the page could not be read')
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
