import { getHeapSpaceStatistics, getHeapStatistics } from 'node:v8'
import { comma, openBrace, openBracket } from '../../lib/json/splice.ts'

const megabyte = 1024 * 1024

/**
 * Fullness of the heap's old generation, from 0 to 1. V8 aborts the process when the memory reserved for it reaches its
 * limit, so reserved bytes count, used or not.
 */
export class HeapRoom {
  readonly #limitBytes: number
  /** `nodeOptions`: Node's start options, as in `process.execArgv` and `NODE_OPTIONS`. */
  constructor(nodeOptions: string) {
    this.#limitBytes = oldGenerationLimit(nodeOptions, getHeapStatistics().heap_size_limit)
  }

  get limitBytes(): number {
    return this.#limitBytes
  }

  /** `withYoung`: includes the young generation, garbage included, because it may be promoted soon. */
  fullness(withYoung: boolean): number {
    let bytes = 0
    for (const { space_name, space_size, space_used_size } of getHeapSpaceStatistics()) {
      if (space_name.startsWith('new_')) bytes += withYoung ? space_used_size : 0
      else if (!space_name.startsWith('read_only')) bytes += space_size
    }
    return bytes / this.#limitBytes
  }
}

/**
 * Limit of the old generation in bytes. V8 reports only the limit of the whole heap. With `--max-old-space-size`, the
 * young generation is added on top, with an unreported size that can exceed a small old generation; without it, the
 * young generation is about a twentieth.
 */
export function oldGenerationLimit(nodeOptions: string, heapLimitBytes: number): number {
  const given = [...nodeOptions.matchAll(/--max[-_]old[-_]space[-_]size[= ](\d+)/g)].at(-1)?.[1]
  const bytes = Number(given ?? 0) * megabyte
  return bytes > 0 && bytes < heapLimitBytes ? bytes : heapLimitBytes * 0.95
}

/** Upper bound of parsed size per byte of JSON; `[[[[` comes closest. Measured on Node 24. */
export const maxHeapPerByte = 32

/** Heap bytes per element or member (including its position in the text), and per array or object. */
const perComma = 96
const perOpening = 128
/**
 * Heap bytes per byte of text: the text during parsing, its strings afterwards. Two-byte strings take twice as much per
 * character, but have far fewer characters than bytes.
 */
const perByte = 2

/**
 * Upper estimate of the memory that a JSON text takes when parsed. Empty arrays and objects take twenty times their
 * text, long strings twice. Takes one nanosecond per byte.
 */
export function jsonMemoryBytes(json: Buffer): number {
  let commas = 0
  let openings = 0
  for (const byte of json) {
    if (byte === comma) commas++
    else if (byte === openBracket || byte === openBrace) openings++
  }
  const counted = json.length * perByte + commas * perComma + openings * perOpening
  return Math.min(counted, json.length * maxHeapPerByte)
}
