const lineFeed = 0x0a
const carriageReturn = 0x0d

/**
 * What only events have that must be looked at: the end, an error, a reason to finish, token counts, or another place where
 * the model may be named. One expression over text takes a fifth of the time of a search in the bytes for each.
 */
const remarkable = /\[DONE\]|error|"finish_reason"[ \t]*:[ \t]*"|"usage"[ \t]*:[ \t]*\{|"model"/g

/** A beginning longer than this holds more than one event. */
const maxBytes = 1024
/** A server that begins each event otherwise is not worth learning from any more. */
const maxMisses = 16

interface Beginning {
  /** How an event begins, up to the end of the model's name, a character for each byte. */
  sent: string
  /** Undefined where both names are the same. */
  told: Buffer | undefined
}

/**
 * Most events of an answer begin with the same bytes, up to the model's name and further, and say nothing but a piece of
 * text. Those are told from the others by comparing their beginning, and by one look at the rest.
 */
export class PlainEvents {
  #beginning: Beginning | undefined
  #misses = 0

  /** Learns from whole events, in which the model's name first stands from `start` to `end`, how the next ones may begin. */
  learn(
    events: Buffer,
    { start, end, told }: { start: number; end: number; told: Buffer | undefined },
  ): void {
    if (end > maxBytes || this.#misses++ >= maxMisses) return
    const before = events.subarray(0, start)
    if (isRemarkable(before.toString('latin1'), 0)) return
    this.#beginning = {
      sent: events.toString('latin1', 0, end),
      told: told && Buffer.concat([before, told]),
    }
  }

  /** The chunk as the client gets it, where it is whole events and all of them are plain; else undefined. */
  rename(chunk: Buffer): Buffer | undefined {
    if (!this.#beginning || !endsEvent(chunk)) return undefined
    const { sent, told } = this.#beginning
    const { length } = sent
    // Byte by byte: compared as text, which costs less than to compare the bytes.
    const text = chunk.toString('latin1')
    if (!text.startsWith(sent) || isRemarkable(text, length)) return undefined
    this.#misses = 0
    if (!told) return chunk
    const out = Buffer.allocUnsafe(chunk.length - length + told.length)
    out.set(told, 0)
    chunk.copy(out, told.length, length)
    return out
  }
}

function isRemarkable(text: string, from: number): boolean {
  remarkable.lastIndex = from
  return remarkable.test(text)
}

/** Whether an empty line is the last; one of carriage returns alone is not looked for. */
function endsEvent(bytes: Buffer): boolean {
  const { length } = bytes
  if (bytes[length - 1] !== lineFeed) return false
  const before = bytes[length - 2]
  return before === lineFeed || (before === carriageReturn && bytes[length - 3] === lineFeed)
}
