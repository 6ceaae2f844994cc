import type { Static } from '@sinclair/typebox'
import { isObject, numberOf, objectsIn } from '../../../lib/json/read.ts'
import type {
  CitedRange,
  ContentForms,
  ContentShape,
  DialectContents,
  MembersOf,
  StreamContents,
  StreamedContents,
  StreamedText,
} from '../../../sdk/content.ts'
import { snakeCase } from '../members.ts'
import type { GeminiBody } from '../request/schema.ts'
import { citedInAnswer, citedInCandidate } from './citations.ts'
import { createEnding, filteredAnswer } from './ending.ts'

/** Members in camel case and in snake case, because Google's servers accept both. */
function bothSpellings(shapes: Readonly<Record<string, ContentShape>>): Record<string, ContentShape> {
  return Object.fromEntries(
    Object.entries(shapes).flatMap(([name, shape]) => [
      [name, shape],
      [snakeCase(name), shape],
    ]),
  )
}

const media = bothSpellings({ mimeType: 'keep', data: 'media', fileUri: 'media', displayName: 'text' })

const partMembers = bothSpellings({
  text: 'text',
  thought: 'keep',
  thoughtSignature: 'opaque',
  inlineData: { members: media, joined: false },
  fileData: { members: media, joined: false },
  videoMetadata: 'keep',
  mediaResolution: 'keep',
  functionCall: { members: { id: 'keep', name: 'keep', args: 'value' } },
  functionResponse: {
    members: bothSpellings({
      id: 'keep',
      name: 'keep',
      response: 'value',
      parts: 'media',
      willContinue: 'keep',
      scheduling: 'keep',
    }),
  },
  executableCode: { members: { id: 'keep', language: 'keep', code: 'text' }, joined: false },
  codeExecutionResult: { members: { id: 'keep', outcome: 'keep', output: 'text' }, joined: false },
})

/** The signature of a part covers its call or its text. */
const part = {
  members: partMembers,
  signed: { values: ['functionCall', 'text'], proof: 'thoughtSignature' },
  text: 'text',
} as const satisfies ContentForms
const parts = { items: part, joined: true, members: partMembers } as const satisfies ContentForms

const content = { members: { role: 'keep', parts }, text: 'text' } as const satisfies ContentForms
const contents = { ...content, items: content } as const satisfies ContentForms
const system = { ...content, system: true } as const satisfies ContentForms

const config = {
  members: bothSpellings({ stopSequences: { items: 'text' }, speechConfig: 'keep' }),
  rest: 'schema',
} as const satisfies ContentForms

const chat = {
  contents,
  systemInstruction: system,
  system_instruction: system,
  tools: 'schema',
  toolConfig: 'schema',
  tool_config: 'schema',
  generationConfig: config,
  generation_config: config,
} as const

const embedMembers = {
  ...bothSpellings({ taskType: 'keep', title: 'text', outputDimensionality: 'keep', autoTruncate: 'keep' }),
  model: 'keep',
  content,
} as const

const body = {
  ...chat,
  content,
  requests: { items: { members: embedMembers } },
  generateContentRequest: {
    members: {
      ...chat,
      model: 'keep',
      ...bothSpellings({ safetySettings: 'keep', cachedContent: 'rejected' }),
    },
  },
} as const satisfies MembersOf<Static<typeof GeminiBody>>

const anyBody = {
  members: {
    ...embedMembers,
    ...bothSpellings({
      safetySettings: 'keep',
      cachedContent: 'rejected',
      labels: 'value',
      serviceTier: 'keep',
      store: 'rejected',
    }),
    ...body,
  },
} as const satisfies ContentForms

/** Content of a response besides text: calls, code and its results. */
const otherPart = {
  members: { ...partMembers, text: 'opaque' },
  rest: 'value',
} as const satisfies ContentForms

/** Source: Gemini API reference, "GenerateContentResponse". */
const stream: StreamContents = {
  read(chunk) {
    const texts: StreamedText[] = []
    const ends: string[] = []
    const signatures: NonNullable<StreamedContents['signatures']>[number][] = []
    const whole: NonNullable<StreamedContents['whole']>[number][] = []
    const citations: CitedRange[] = []
    for (const [position, candidate] of objectsIn(chunk.candidates).entries()) {
      const index = numberOf(candidate.index) ?? position
      const found = isObject(candidate.content) ? objectsIn(candidate.content.parts) : []
      for (const [at, part] of found.entries()) {
        const path = ['candidates', position, 'content', 'parts', at]
        const channel = `${index}.${part.thought === true ? 'thought' : 'text'}`
        if (typeof part.text === 'string')
          texts.push({ channel, group: String(index), path: [...path, 'text'] })
        whole.push({ path, shape: otherPart })
        if (typeof part.thoughtSignature !== 'string') continue
        const signedMember = isObject(part.functionCall) ? 'functionCall' : 'text'
        signatures.push({ path: [...path, 'thoughtSignature'], of: { path: [...path, signedMember] } })
        ends.push(channel)
      }
      if (candidate.finishReason !== undefined) ends.push(`${index}.`)
      // Offsets count from the beginning of the stream. In later parts, only a quote tells which text is meant.
      const text = { channel: `${index}.text` }
      citations.push(
        ...citedInCandidate(candidate, ['candidates', position], (part = 0, isQuoted) =>
          part === 0 || isQuoted ? text : undefined,
        ),
      )
    }
    return { texts, ends, signatures, whole, citations }
  },
  continueText({ usageMetadata: _usage, promptFeedback: _feedback, ...template }, { path }, text) {
    const [, position, , , at] = path
    const candidate = objectsIn(template.candidates)[Number(position)] ?? {}
    const before = isObject(candidate.content) ? objectsIn(candidate.content.parts)[Number(at)] : undefined
    const thought = before?.thought === true ? { thought: true } : {}
    return {
      ...template,
      candidates: [
        {
          index: numberOf(candidate.index) ?? Number(position),
          content: { role: 'model', parts: [{ text, ...thought }] },
        },
      ],
    }
  },
  createEnding,
}

export const geminiContents: DialectContents = {
  requests: { chat: anyBody, embedding: anyBody },
  stream,
  answers: {
    shape: {
      members: {
        candidates: {
          items: {
            members: {
              content: {
                members: { role: 'keep', parts: { items: { members: partMembers, rest: 'value' } } },
              },
            },
            rest: 'opaque',
          },
        },
      },
      rest: 'opaque',
    },
    filtered: filteredAnswer,
    citations: citedInAnswer,
  },
  userTurn: { turns: 'contents', content: 'parts', part: (text) => ({ text }) },
}
