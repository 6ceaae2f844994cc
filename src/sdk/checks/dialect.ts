import type { ChatCodec, Dialect } from '../dialect.ts'
import { type Members, memberErrors } from './members.ts'

const members: Members<Dialect> = {
  name: 'string',
  streamMediaType: 'string',
  ping: 'string?',
  chat: 'object',
  native: 'object?',
  completions: 'string?',
  count: 'object?',
  embedding: 'object?',
  contents: 'object?',
  writeError: 'function',
  errorStatus: 'function',
  writeStreamError: 'function',
}

const chat: Members<ChatCodec> = {
  checkRequest: 'function?',
  readRequest: 'function',
  writeRequest: 'function',
  checkAnswer: 'function',
  readResponse: 'function',
  writeResponse: 'function',
  createReader: 'function',
  createWriter: 'function',
  createPassthrough: 'function',
  passthroughEdits: 'function',
  wholeAsStream: 'object?',
  streamsByDefault: 'boolean',
  missingDefaults: 'function',
  translatedMembers: 'object?',
  promptMembers: 'list?',
  toolMembers: 'list?',
  features: 'function?',
  fitContext: 'function?',
}

export function dialectErrors(dialect: Dialect): string[] {
  const errors = memberErrors(dialect, members)
  return errors.length > 0 ? errors : memberErrors(dialect.chat, chat, 'chat')
}
