import type { Config } from '../../config/settings.ts'
import type { ResponseBounds } from './table.ts'

/** Answers of long conversations are large; this many bytes are some hundreds of them. */
const maxBytes = 64 * 1024 * 1024

export function responseBounds({ responsesTtlMs, responsesMax }: Config): ResponseBounds {
  return { ttlMs: responsesTtlMs, maxCount: responsesMax, maxBytes }
}
