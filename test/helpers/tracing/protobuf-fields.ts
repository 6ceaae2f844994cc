type Field = { number: number; varint?: bigint; bytes?: Buffer }

/**
 * The fields of one protobuf message, by number; a missing field has the protobuf default: empty or zero.
 * Source: Protocol Buffers documentation, "Encoding".
 */
export class ProtobufFields {
  readonly #fields: Field[] = []

  constructor(message: Buffer) {
    for (let at = 0; at < message.length; ) {
      const [tag, afterTag] = varintAt(message, at)
      const number = Number(tag >> 3n)
      const type = Number(tag & 7n)
      if (type === 0) {
        const [varint, next] = varintAt(message, afterTag)
        this.#fields.push({ number, varint })
        at = next
      } else {
        const [start, length] = spanOf(message, afterTag, type)
        if (start + length > message.length) throw new Error('the message ends within a field')
        this.#fields.push({ number, bytes: message.subarray(start, start + length) })
        at = start + length
      }
    }
  }

  has(number: number): boolean {
    return this.#fields.some((field) => field.number === number)
  }

  number(number: number): number {
    return Number(BigInt.asIntN(64, this.#last(number)?.varint ?? 0n))
  }

  bytes(number: number): Buffer {
    return this.#last(number)?.bytes ?? Buffer.alloc(0)
  }

  fixed64(number: number): bigint {
    const bytes = this.bytes(number)
    return bytes.length === 8 ? bytes.readBigUInt64LE() : 0n
  }

  double(number: number): number {
    const bytes = this.bytes(number)
    return bytes.length === 8 ? bytes.readDoubleLE() : 0
  }

  message(number: number): ProtobufFields {
    return new ProtobufFields(this.bytes(number))
  }

  messages(number: number): ProtobufFields[] {
    return this.#fields
      .filter((field) => field.number === number)
      .map(({ bytes }) => new ProtobufFields(bytes ?? Buffer.alloc(0)))
  }

  #last(number: number): Field | undefined {
    return this.#fields.findLast((field) => field.number === number)
  }
}

/** Where a field's bytes start, and how many there are. */
function spanOf(message: Buffer, at: number, type: number): [start: number, length: number] {
  if (type === 1) return [at, 8]
  if (type === 5) return [at, 4]
  if (type !== 2) throw new Error(`no such wire type: ${type}`)
  const [length, start] = varintAt(message, at)
  return [start, Number(length)]
}

function varintAt(bytes: Buffer, from: number): [value: bigint, next: number] {
  let value = 0n
  for (let at = from, shift = 0n; at < bytes.length; at++, shift += 7n) {
    const byte = bytes[at] ?? 0
    value |= BigInt(byte & 0x7f) << shift
    if (byte < 0x80) return [value, at + 1]
  }
  throw new Error('the message ends within a number')
}
