import { present } from '../lib/json/read.ts'
import type { ChatChoice, ChatEvent, GeneratedFile, TokenLogprob, ToolCall } from './chat.ts'

/** A part of a choice. `start`: position of the text in the text of the choice. */
export type ChoicePiece =
  | { type: 'text'; text: string; start: number }
  | { type: 'refusal'; text: string }
  | { type: 'file'; file: GeneratedFile }
  | { type: 'call'; call: ToolCall; index: number }

/** The parts of a choice in the order in which the model wrote them: a refusal, files and calls without a position follow the text. */
export function piecesOf(
  choice: Pick<ChatChoice, 'text' | 'refusal' | 'files' | 'toolCalls'>,
): ChoicePiece[] {
  const { text, refusal = '', files = [], toolCalls } = choice
  const pieces: ChoicePiece[] = []
  let start = 0
  let isRefusalWritten = refusal === ''
  const writeUntil = (end: number): void => {
    if (end > start) {
      pieces.push({ type: 'text', text: text.slice(start, end), start })
      start = end
    }
    if (start < text.length || isRefusalWritten) return
    isRefusalWritten = true
    pieces.push({ type: 'refusal', text: refusal })
  }
  const placed: { at: number | undefined; rank: number; piece: ChoicePiece }[] = [
    ...files.map((file) => ({
      at: file.textBefore,
      rank: file.callsBefore ?? 0,
      piece: { type: 'file' as const, file },
    })),
    ...toolCalls.map((call, index) => ({
      at: call.textBefore,
      rank: index + 0.5,
      piece: { type: 'call' as const, call, index },
    })),
  ]
  const positioned = placed.map((each) => ({ ...each, at: Math.min(each.at ?? text.length, text.length) }))
  for (const { at, piece } of positioned.sort((one, other) => one.at - other.at || one.rank - other.rank)) {
    writeUntil(at)
    pieces.push(piece)
  }
  writeUntil(text.length)
  return pieces
}

/** Adds text that follows the calls and files which the choice has so far. */
export function addText(choice: ChatChoice, text: string): void {
  if (text !== '') {
    setTextBefore(choice.toolCalls, choice.text.length)
    setTextBefore(choice.files ?? [], choice.text.length)
  }
  choice.text += text
}

/** Adds a file that follows the text and the calls which the choice has so far. */
export function addFile(choice: ChatChoice, file: GeneratedFile): void {
  choice.files ??= []
  const callsBefore = choice.toolCalls.length
  choice.files.push(callsBefore === 0 ? file : { ...file, callsBefore })
}

function setTextBefore(parts: readonly { textBefore?: number }[], length: number): void {
  for (let index = parts.length - 1; index >= 0; index--) {
    const part = parts[index]
    if (!part || part.textBefore !== undefined) return
    part.textBefore = length
  }
}

/** The content of a choice as events, one delta for each part. */
export function* contentEvents(answer: ChatChoice): Generator<ChatEvent> {
  const { index: choice, reasoning, reasoningSignature: signature, citations = [], logprobs } = answer
  if (reasoning !== '' || signature !== undefined)
    yield { type: 'reasoning-delta', choice, text: reasoning, ...present({ signature }) }
  for (const piece of piecesOf(answer)) yield* pieceEvents(piece, choice, logprobs)
  for (const citation of citations) yield { type: 'citation', choice, citation }
}

/** The token probabilities are sent with the first text. */
function* pieceEvents(
  piece: ChoicePiece,
  choice: number,
  logprobs: TokenLogprob[] | undefined,
): Generator<ChatEvent> {
  switch (piece.type) {
    case 'text': {
      const { text, start } = piece
      yield { type: 'text-delta', choice, text, ...(start === 0 ? present({ logprobs }) : {}) }
      return
    }
    case 'refusal':
      yield { type: 'refusal-delta', choice, text: piece.text }
      return
    case 'file':
      yield { type: 'file', choice, file: piece.file }
      return
    case 'call': {
      const { id, name, arguments: json, signature } = piece.call
      const call = piece.index
      yield { type: 'tool-call-start', choice, call, id, name, ...present({ signature }) }
      yield { type: 'tool-call-delta', choice, call, arguments: json }
      yield { type: 'block-end', choice, call }
    }
  }
}
