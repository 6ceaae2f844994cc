import { type Edit, setMembers } from '../../lib/json/splice.ts'
import type { PassthroughRequest } from '../../sdk/dialect.ts'

const none: ReadonlySet<string> = new Set()

/** `stream` is written, as a boolean, only where the server would otherwise understand something else. */
export function streamEdits({ body, scan, stream }: PassthroughRequest, streamsByDefault: boolean): Edit[] {
  return (body.stream ?? streamsByDefault) === stream ? [] : setMembers(scan, { stream }, none)
}
