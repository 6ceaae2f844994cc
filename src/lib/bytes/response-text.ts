import { ChunkList } from './chunk-list.ts'

/**
 * The body of a `fetch` response as text. Rejects and cancels the response once it is larger than `maxBytes`, counted as they
 * arrive: their number is not always announced, and a compressed response is larger than announced.
 */
export async function responseText({ body }: Response, maxBytes: number): Promise<string> {
  const chunks = new ChunkList()
  let bytes = 0
  // Leaving the loop cancels the response.
  for await (const chunk of body ?? []) {
    bytes += chunk.length
    if (bytes > maxBytes) throw new ResponseTooLarge()
    chunks.add(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length))
  }
  return Buffer.concat(chunks.take()).toString()
}

class ResponseTooLarge extends Error {
  readonly code = 'RESPONSE_TOO_LARGE'

  constructor() {
    super('the response of the service is too large')
    this.name = 'ResponseTooLarge'
  }
}
