import {
  filledTextOf,
  isObject,
  type JsonObject,
  objectsIn,
  present,
  textOf,
} from '../../../lib/json/read.ts'
import type { ImagePart, TextPart, UserPart } from '../../../sdk/chat.ts'
import { badRequest, type RouterError } from '../../../sdk/errors.ts'
import { readCacheControl, withCacheControlOnLast } from '../../shared/cache-control.ts'
import type { ReportField } from '../../shared/dropped-fields.ts'
import { requiredText, textParts, unknownPartText } from '../../shared/message-parts.ts'

/** Content of a user turn or tool result: a string or blocks. Throws `bad_request` for blocks that only Anthropic supports. */
export function readContent(content: unknown, path: string, drop: ReportField): UserPart[] {
  if (content === undefined || content === null) return []
  const blocks: unknown[] = Array.isArray(content) ? content : [content]
  return blocks.flatMap((block, index) => {
    if (isObject(block) && typeof block.type === 'string')
      return readUserBlock(block, `${path}[${index}]`, drop)
    // Some clients send the tool's own JSON. Without it, the model would see an empty result.
    return textParts(typeof block === 'string' ? block : JSON.stringify(block))
  })
}

export function readUserBlock(block: JsonObject, path: string, drop: ReportField): UserPart[] {
  return withCacheControlOnLast(readParts(block, path, drop), readCacheControl(block))
}

function readParts(block: JsonObject, path: string, drop: ReportField): UserPart[] {
  switch (block.type) {
    case 'text':
      return textParts(requiredText(block.text, `${path}.text`))
    case 'image':
      return [readImage(block.source, `${path}.source`)]
    case 'document':
      if (isObject(block.citations) && block.citations.enabled === true) drop('citations')
      return readDocument(block, path, drop)
    case 'search_result':
      return readSearchResult(block)
    case 'container_upload':
      // The file is stored at Anthropic, and without it the response would differ.
      throw badRequest(
        `'${path}.type' is a kind of content that this model's upstream does not support`,
        `${path}.type`,
      )
    case 'tool_reference':
      return textParts(`The tool ${filledTextOf(block.tool_name) ?? ''} can be called now.`)
    default:
      return textParts(unknownText(block))
  }
}

function unknownText(block: JsonObject): string {
  if (typeof block.text === 'string') return block.text
  if (typeof block.content === 'string') return block.content
  return unknownPartText(block)
}

function readImage(source: unknown, path: string): ImagePart {
  const kind = isObject(source) ? source.type : undefined
  if (isObject(source) && kind === 'base64') {
    const data = requiredText(source.data, `${path}.data`)
    const mediaType = requiredText(source.media_type, `${path}.media_type`)
    return { type: 'image', source: { kind, mediaType, data } }
  }
  if (isObject(source) && kind === 'url') {
    return { type: 'image', source: { kind, url: requiredText(source.url, `${path}.url`) } }
  }
  throw unsupportedSource(path)
}

function readDocument(block: JsonObject, path: string, drop: ReportField): UserPart[] {
  const { source } = block
  const at = `${path}.source`
  if (!isObject(source)) throw badRequest(`'${at}' must be an object`, at)
  const name = filledTextOf(block.title)
  switch (source.type) {
    case 'text':
      return textParts(withHeading(block, requiredText(source.data, `${at}.data`)))
    case 'content': {
      const heading = withHeading(block, '')
      return [...textParts(heading), ...readContent(source.content, `${at}.content`, drop)]
    }
    case 'base64': {
      const data = requiredText(source.data, `${at}.data`)
      const mediaType = filledTextOf(source.media_type) ?? 'application/pdf'
      const file = { type: 'file' as const, data: `data:${mediaType};base64,${data}` }
      const context = filledTextOf(block.context)
      return [...textParts(context ?? ''), { ...file, ...present({ name }) }]
    }
    case 'url': {
      const file = { type: 'file' as const, url: requiredText(source.url, `${at}.url`) }
      return [...textParts(filledTextOf(block.context) ?? ''), { ...file, ...present({ name }) }]
    }
    default:
      throw unsupportedSource(at)
  }
}

/** The text of a document after its title and context. */
function withHeading(block: JsonObject, text: string): string {
  return [filledTextOf(block.title), filledTextOf(block.context), text].filter(Boolean).join('\n\n')
}

/** A search result supplied by the client: its text and source. */
function readSearchResult(block: JsonObject): TextPart[] {
  const passages = objectsIn(block.content).map((passage) => textOf(passage.text))
  const lines = [filledTextOf(block.title), filledTextOf(block.source), ...passages].filter(Boolean)
  return textParts(lines.join('\n'))
}

function unsupportedSource(path: string): RouterError {
  return badRequest(
    `'${path}.type' must be one that this model's upstream can read: send the data itself`,
    `${path}.type`,
  )
}
