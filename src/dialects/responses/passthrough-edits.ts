import type { Edit } from '../../lib/json/splice.ts'
import type { PassthroughRequest } from '../../sdk/dialect.ts'

/** The least change that makes the sent bytes say what is meant. Token counts need no asking here. */
export function passthroughEdits(request: PassthroughRequest): { edits: Edit[]; stripUsage: boolean } {
  const { scan, body, stream } = request
  const says = typeof body.stream === 'boolean' ? body.stream : false
  if (typeof body.stream !== 'string' && says === stream) return { edits: [], stripUsage: false }
  const standing = scan.members.filter(({ key }) => key === 'stream')
  const edits = standing.map(({ valueStart, valueEnd }) => ({
    start: valueStart,
    end: valueEnd,
    text: String(stream),
  }))
  if (standing.length === 0) {
    const at = scan.start + 1
    edits.push({ start: at, end: at, text: `"stream":${stream}${scan.members.length > 0 ? ',' : ''}` })
  }
  return { edits, stripUsage: false }
}
