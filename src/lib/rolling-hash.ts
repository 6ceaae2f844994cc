/** Bytes of a range that are read word by word; after them, words are sampled. */
const denseBytes = 256
const sparseBytes = 64 * 1024
const word = 4
/** Distance of sampled words, in bytes. */
const sparseStride = 64
const coarseStride = 256

/**
 * A hash of bytes in order, which can be read at any moment. Fast rather than strong: of long stretches it reads the
 * beginning whole and then one word in every 64 bytes (behind 64 KiB: 256), so that hashing a body costs less than finding
 * its strings does. Good for guesses, never for identity.
 */
export class RollingHash {
  #a = 0x243f6a88
  #b = 0x85a308d3
  readonly #view: DataView

  constructor({ buffer, byteOffset, length }: Uint8Array) {
    this.#view = new DataView(buffer, byteOffset, length)
  }

  /** Continues with the bytes from `from` to `to`, part of the range that begins at `start`. */
  add(from: number, to: number, start = from): void {
    const view = this.#view
    let a = this.#a
    let b = this.#b
    let at = from
    const last = to - word
    const dense = Math.min(last, start + denseBytes - word)
    for (; at <= dense; at += word) {
      const value = view.getInt32(at, true)
      a = Math.imul(((a << 13) | (a >>> 19)) ^ value, 0x9e3779b1)
      b = Math.imul(((b << 17) | (b >>> 15)) ^ value, 0x85ebca77)
    }
    if (at <= last) {
      const stride = at - start < sparseBytes ? sparseStride : coarseStride
      for (; at <= last; at += stride) {
        const value = view.getInt32(at, true)
        a = Math.imul(((a << 13) | (a >>> 19)) ^ value, 0x9e3779b1)
        b = Math.imul(((b << 17) | (b >>> 15)) ^ value, 0x85ebca77)
      }
    } else {
      for (; at < to; at++) {
        const value = view.getUint8(at)
        a = Math.imul(((a << 13) | (a >>> 19)) ^ value, 0x9e3779b1)
        b = Math.imul(((b << 17) | (b >>> 15)) ^ value, 0x85ebca77)
      }
    }
    a = Math.imul(a ^ (to - from), 0xc2b2ae3d)
    this.#a = a
    this.#b = b ^ (a >>> 15)
  }

  /** Continues with 256 evenly spaced words of a range, for an image or another file. */
  addSampled(from: number, to: number): void {
    const stride = Math.max(word, Math.floor((to - from) / 256))
    for (let at = from; at + word <= to; at += stride) this.add(at, at + word)
    this.add(to, to)
    this.#a = Math.imul(this.#a ^ (to - from), 0xc2b2ae3d)
  }

  /** Of all bytes so far: a whole number below 2^53. */
  key(): number {
    return mixed(this.#a) * 0x200000 + (mixed(this.#b ^ this.#a) >>> 11)
  }
}

/** The same for a text. */
export function hashOfText(text: string): number {
  const bytes = Buffer.from(text)
  const hash = new RollingHash(bytes)
  hash.add(0, bytes.length)
  return hash.key()
}

/** Spreads every bit over the whole word, as MurmurHash3 ends. */
export function mixed(value: number): number {
  let bits = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return (bits ^ (bits >>> 16)) >>> 0
}
