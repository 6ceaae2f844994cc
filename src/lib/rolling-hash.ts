/** Bytes at the start of a range of which every word is hashed; beyond them, words are sampled. */
const denseBytes = 256
const sparseBytes = 64 * 1024
const word = 4
/** Distance of sampled words, in bytes. */
const sparseStride = 64
const coarseStride = 256

/**
 * An incremental hash whose value can be read at any time. Fast rather than strong: of a long range it hashes the beginning
 * completely and then one word per 64 bytes (after 64 KiB: per 256), so that hashing a body costs less than scanning it. For
 * heuristics only, never for identity.
 */
export class RollingHash {
  #a = 0x243f6a88
  #b = 0x85a308d3
  readonly #view: DataView

  constructor({ buffer, byteOffset, length }: Uint8Array) {
    this.#view = new DataView(buffer, byteOffset, length)
  }

  /** Adds the bytes from `from` to `to`, which are part of a range that begins at `start`. */
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

  /** Adds 256 evenly spaced words of a range, for images and other files. */
  addSampled(from: number, to: number): void {
    const stride = Math.max(word, Math.floor((to - from) / 256))
    for (let at = from; at + word <= to; at += stride) this.add(at, at + word)
    this.add(to, to)
    this.#a = Math.imul(this.#a ^ (to - from), 0xc2b2ae3d)
  }

  /** Returns the hash of all bytes so far: an integer below 2^53. */
  key(): number {
    return mixed(this.#a) * 0x200000 + (mixed(this.#b ^ this.#a) >>> 11)
  }
}

/** Returns the {@link RollingHash} of a string. */
export function hashOfText(text: string): number {
  const bytes = Buffer.from(text)
  const hash = new RollingHash(bytes)
  hash.add(0, bytes.length)
  return hash.key()
}

/** The finalizer of MurmurHash3: every input bit affects all output bits. */
export function mixed(value: number): number {
  let bits = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return (bits ^ (bits >>> 16)) >>> 0
}
