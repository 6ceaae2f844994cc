import type { ChatChoice, Citation, TokenLogprob } from '../../../sdk/chat.ts'
import { type ChoicePiece, piecesOf } from '../../../sdk/choice-pieces.ts'
import type { AnswerContext } from '../../../sdk/dialect.ts'
import { citationsWithUrl, dropCitation } from '../../shared/dropped-output.ts'

/** A citation that this dialect can carry. */
export type AddressedCitation = Citation & { url: string }

export type MessagePart =
  | { type: 'text'; text: string; logprobs: TokenLogprob[]; citations: AddressedCitation[] }
  | { type: 'refusal'; text: string }

/** A part of a choice, as it is written to an item of the response. */
export type OutputPiece = MessagePart | Extract<ChoicePiece, { type: 'call' | 'file' }>

/**
 * The parts of a choice, each text with the token probabilities and citations that belong to it. White space that a template
 * emits around calls is not a message.
 */
export function outputPieces(choice: ChatChoice, context: AnswerContext): OutputPiece[] {
  const { toolCalls, logprobs = [], citations = [] } = choice
  const pieces = piecesOf(choice).filter(
    (piece) => piece.type !== 'text' || toolCalls.length === 0 || /\S/.test(piece.text),
  )
  const texts = pieces.filter((piece) => piece.type === 'text')
  const logprobsOfTexts = logprobsByText(logprobs, texts)
  const cited = citationsWithUrl(citations, context)
  if (texts.length === 0) for (const _each of cited) dropCitation(context)
  return pieces.map((piece): OutputPiece => {
    if (piece.type !== 'text') return piece
    const index = texts.indexOf(piece)
    const next = texts[index + 1]
    const partCitations = cited.filter(
      ({ start }) =>
        (index === 0 || (start ?? Number.POSITIVE_INFINITY) >= piece.start) &&
        (!next || (start !== undefined && start < next.start)),
    )
    const { type, text } = piece
    return {
      type,
      text,
      logprobs: logprobsOfTexts[index] ?? [],
      citations: partCitations.map((citation) => relativeToPart(citation, piece)),
    }
  })
}

/** A citation with offsets in the text of its part. */
export function relativeToPart(
  { start, end, ...citation }: AddressedCitation,
  { start: from, text }: { start: number; text: string },
): AddressedCitation {
  const inText = (offset: number): number => Math.min(Math.max(0, offset - from), text.length)
  return {
    ...citation,
    ...(start === undefined ? {} : { start: inText(start) }),
    ...(end === undefined ? {} : { end: inText(end) }),
  }
}

/** The tokens of each text, by their length; the last text has the rest. Those of white space that is not written are left out. */
function logprobsByText(
  logprobs: readonly TokenLogprob[],
  texts: readonly { text: string; start: number }[],
): TokenLogprob[][] {
  const byText: TokenLogprob[][] = texts.map(() => [])
  let length = 0
  for (const token of logprobs) {
    const at = length
    const index = texts.findLastIndex(({ start }) => start <= at)
    const text = texts[index]
    const isWithin = text && (index === texts.length - 1 || at < text.start + text.text.length)
    if (isWithin) byText[index]?.push(token)
    length += token.token.length
  }
  return byText
}
