import { applyEdits } from '../../lib/json/splice.ts'
import { type JsonNode, memberOf, readTree, stringAt } from '../../lib/json/tree.ts'
import type { Framing } from '../../processors/answers/framing.ts'
import type { ChatClient, ClientStream } from '../../relay/answer/client-stream.ts'
import type { AnswerSource } from '../../sdk/question.ts'

/** The router's extension member in responses. */
export const extensionMember = 'llm_router'

/**
 * A client that adds the sources of the passages to the response: to its outermost object, or to the first event of a stream.
 * `framingOf`: splits a stream into events.
 */
export function sourcedClient(
  client: ChatClient,
  sources: readonly AnswerSource[],
  framingOf: () => Framing,
): ChatClient {
  const member = `${JSON.stringify(extensionMember)}:${JSON.stringify({ sources })}`
  return {
    stream: () => sourcedStream(client.stream(), member, framingOf()),
    large: () => sourcedWhole(client.large(), member),
    writeError: (error) => client.writeError(error),
    whole: (body) => client.whole(withMember(Buffer.from(body), member, 'answer')),
  }
}

function sourcedStream(stream: ClientStream, member: string, framing: Framing): ClientStream {
  const decoder = new TextDecoder()
  let isNamed = false
  const changed = (text: string): string => {
    let out = ''
    for (const { before, json, after } of framing.push(text)) {
      out += before
      if (json === undefined) continue
      const bytes = Buffer.from(json)
      const event = isNamed && !json.includes('"response"') ? undefined : eventOf(bytes)
      if (!event) out += json
      else if (event.kind === 'response') out += withMember(bytes, member, 'response').toString()
      else if (isNamed || event.kind === 'error') out += json
      else {
        out += withMember(bytes, member, event.kind).toString()
        isNamed = true
      }
      out += after
    }
    return out
  }
  return passing(stream, {
    write(bytes) {
      const text = changed(typeof bytes === 'string' ? bytes : decoder.decode(bytes, { stream: true }))
      return text === '' || stream.write(text)
    },
    end() {
      const rest = changed(decoder.decode()) + framing.unfinishedText()
      if (rest !== '') stream.write(rest)
      stream.end()
    },
  })
}

/** A non-streamed response in chunks: the extension member precedes the upstream's members. */
function sourcedWhole(stream: ClientStream, member: string): ClientStream {
  let isOpen = false
  return passing(stream, {
    write(bytes) {
      const text = bytes.toString('latin1')
      const brace = isOpen ? -1 : text.indexOf('{')
      if (brace === -1) return stream.write(bytes)
      isOpen = true
      const whole = Buffer.from(bytes)
      return stream.write(
        Buffer.concat([whole.subarray(0, brace + 1), Buffer.from(`${member},`), whole.subarray(brace + 1)]),
      )
    },
    end: () => stream.end(),
  })
}

function passing(stream: ClientStream, own: Pick<ClientStream, 'write' | 'end'>): ClientStream {
  return {
    ...own,
    get committed() {
      return stream.committed
    },
    set committed(value) {
      stream.committed = value
    },
    commit: () => stream.commit(),
    onDrain: (resume) => stream.onDrain(resume),
    reset: () => stream.reset(),
  }
}

type Within = 'answer' | 'message' | 'response'

/** Which object of an event is the response: the event itself, its message (Anthropic), or its response (Responses API). */
function eventOf(bytes: Buffer): { kind: Within | 'error' } | undefined {
  const root = readTree(bytes)
  if (root?.type !== 'object') return undefined
  const type = memberOf(root, 'type')
  const error = memberOf(root, 'error')
  const name = type?.type === 'string' ? stringAt(bytes, type) : ''
  if (name === 'error' || (error && error.type !== 'word')) return { kind: 'error' }
  if (memberOf(root, 'response')?.type === 'object') return { kind: 'response' }
  return {
    kind: memberOf(root, 'message')?.type === 'object' && name === 'message_start' ? 'message' : 'answer',
  }
}

/** Appends a member to a JSON object; all other bytes are unchanged. */
function withMember(bytes: Buffer, member: string, within: Within): Buffer {
  const root = readTree(bytes)
  const node: JsonNode | undefined = root && (within === 'answer' ? root : memberOf(root, within))
  if (node?.type !== 'object') return bytes
  const at = node.end - 1
  const text = node.members.length === 0 ? member : `,${member}`
  return applyEdits(bytes, [{ start: at, end: at, text }])
}
