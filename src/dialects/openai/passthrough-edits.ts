import { isObject } from '../../lib/json/read.ts'
import { type Edit, scanObject } from '../../lib/json/splice.ts'
import type { PassthroughRequest } from '../../sdk/dialect.ts'

interface Changes {
  edits: Edit[]
  /** Members to add in front, as JSON text. */
  added: string[]
}

/**
 * The least changes that make the sent bytes say what is meant: `stream` as a boolean, and token counts asked for where
 * only the router wants them. Members that are not named here stay byte for byte.
 */
export function passthroughEdits(request: PassthroughRequest): { edits: Edit[]; stripUsage: boolean } {
  const { scan, body, stream, wantUsage } = request
  const changes: Changes = { edits: [], added: [] }
  const says = typeof body.stream === 'boolean' ? body.stream : undefined
  if (typeof body.stream === 'string' || (says ?? false) !== stream) setStream(request, changes)
  const options = body.stream_options
  const asked = isObject(options) && options.include_usage === true
  const stripUsage = stream && wantUsage && !asked
  if (stripUsage) askForUsage(request, changes)
  if (changes.added.length > 0) {
    const text = changes.added.join(',') + (scan.members.length > 0 ? ',' : '')
    changes.edits.push({ start: scan.start + 1, end: scan.start + 1, text })
  }
  return { edits: changes.edits, stripUsage }
}

function setStream({ scan, stream }: PassthroughRequest, { edits, added }: Changes): void {
  const members = scan.members.filter((member) => member.key === 'stream')
  for (const { valueStart, valueEnd } of members)
    edits.push({ start: valueStart, end: valueEnd, text: String(stream) })
  if (members.length === 0) added.push(`"stream":${stream}`)
}

/** Of repeated members the last one counts for every parser in use, so that one is changed. */
function askForUsage({ bytes, scan }: PassthroughRequest, { edits, added }: Changes): void {
  const member = scan.members.findLast(({ key }) => key === 'stream_options')
  if (!member) {
    added.push('"stream_options":{"include_usage":true}')
    return
  }
  const { valueStart, valueEnd } = member
  const inner = scanObject(bytes.subarray(valueStart, valueEnd))
  if (!inner) {
    edits.push({ start: valueStart, end: valueEnd, text: '{"include_usage":true}' })
    return
  }
  const standing = inner.members.findLast(({ key }) => key === 'include_usage')
  if (standing) {
    edits.push({ start: valueStart + standing.valueStart, end: valueStart + standing.valueEnd, text: 'true' })
    return
  }
  const at = valueStart + inner.start + 1
  edits.push({ start: at, end: at, text: `"include_usage":true${inner.members.length > 0 ? ',' : ''}` })
}
