import { getHeapSpaceStatistics, getHeapStatistics } from 'node:v8'
import { comma, openBrace, openBracket } from '../../lib/json/splice.ts'

const megabyte = 1024 * 1024

/**
 * How full the old generation of the heap is, from 0 to 1: the part whose end is the end of the process. V8 ends it when
 * what it has reserved for it reaches its limit, so reserved bytes count, used or not.
 */
export class HeapRoom {
  readonly #limitBytes: number
  /** `nodeOptions`: the options that Node was started with, as in `process.execArgv` and `NODE_OPTIONS`. */
  constructor(nodeOptions: string) {
    this.#limitBytes = oldGenerationLimit(nodeOptions, getHeapStatistics().heap_size_limit)
  }

  get limitBytes(): number {
    return this.#limitBytes
  }

  /** `withYoung`: with what may soon move into it, garbage included. */
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
 * In bytes. V8 tells the limit of the whole heap. With `--max-old-space-size` its young generation comes on top, in a size that
 * V8 does not tell and that is more than a small old one; without it the young one is about a twentieth.
 */
export function oldGenerationLimit(nodeOptions: string, heapLimitBytes: number): number {
  const given = [...nodeOptions.matchAll(/--max[-_]old[-_]space[-_]size[= ](\d+)/g)].at(-1)?.[1]
  const bytes = Number(given ?? 0) * megabyte
  return bytes > 0 && bytes < heapLimitBytes ? bytes : heapLimitBytes * 0.95
}

/** No JSON text takes more than this many times its size once it is read; `[[[[` comes closest. Measured on Node 24. */
export const mostPerByte = 32

/** What the heap keeps for an element or member (with its place in the text), and for a list or object; in bytes. */
const perComma = 96
const perOpening = 128
/** The text itself while it is read, and its strings after it; in UTF-16 both are as long again, and much shorter in bytes. */
const perByte = 2

/**
 * How many bytes of memory a JSON text may take once it is read: rather too many than too few. Lists and objects without
 * content take twenty times their text, long strings twice. Takes a nanosecond for each byte.
 */
export function jsonMemoryBytes(json: Buffer): number {
  let commas = 0
  let openings = 0
  for (const byte of json) {
    if (byte === comma) commas++
    else if (byte === openBracket || byte === openBrace) openings++
  }
  const counted = json.length * perByte + commas * perComma + openings * perOpening
  return Math.min(counted, json.length * mostPerByte)
}
