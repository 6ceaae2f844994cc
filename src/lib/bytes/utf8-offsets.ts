/** Converts offsets in a text between UTF-8 bytes and UTF-16 code units. Offsets beyond the text count as its end. */
export interface Utf8Offsets {
  toBytes(units: number): number
  toUnits(bytes: number): number
}

export function utf8Offsets(text: string): Utf8Offsets {
  const { length } = text
  const size = Buffer.byteLength(text)
  if (size === length) {
    const clamped = (offset: number): number => Math.min(Math.max(offset, 0), length)
    return { toBytes: clamped, toUnits: clamped }
  }
  /** Position in bytes of each code unit; the second half of a pair is at the end of the pair. */
  const bytesAt = new Uint32Array(length + 1)
  let bytes = 0
  for (let unit = 0; unit < length; unit++) {
    const code = text.codePointAt(unit) ?? 0
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4
    if (code >= 0x10000) bytesAt[++unit] = bytes
    bytesAt[unit + 1] = bytes
  }
  return {
    toBytes: (units) => bytesAt[Math.min(Math.max(units, 0), length)] ?? bytes,
    toUnits(wanted) {
      let [low, high] = [0, length]
      while (low < high) {
        const middle = (low + high) >>> 1
        if ((bytesAt[middle] ?? 0) < wanted) low = middle + 1
        else high = middle
      }
      return low
    },
  }
}
