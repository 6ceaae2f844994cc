import { type JsonObject, present } from '../../../lib/json/read.ts'
import type { FinishReason, GeneratedFile, TokenLogprob, ToolCall, Usage } from '../../../sdk/chat.ts'
import type { AnswerContext } from '../../../sdk/dialect.ts'
import { signatureFor } from '../../shared/signatures.ts'
import { argumentObject } from '../../shared/tools/tool-arguments.ts'
import { objectIn } from '../members.ts'
import { requestsThoughts } from '../request/reasoning.ts'
import { wrapForeignThoughts } from '../signatures.ts'

/** Gemini has no finish reason for tool calls. */
export function writeFinish(reason: FinishReason): string {
  switch (reason) {
    case 'length':
      return 'MAX_TOKENS'
    case 'content_filter':
      return 'SAFETY'
    default:
      return 'STOP'
  }
}

export function writeUsage(usage: Usage): JsonObject {
  const { promptTokens, completionTokens, cachedTokens, reasoningTokens } = usage
  return {
    promptTokenCount: promptTokens,
    candidatesTokenCount: Math.max(completionTokens - (reasoningTokens ?? 0), 0),
    totalTokenCount: promptTokens + completionTokens,
    ...present({ cachedContentTokenCount: cachedTokens, thoughtsTokenCount: reasoningTokens }),
  }
}

/** The members that every answer and every chunk has. */
export function answerTail(context: AnswerContext, responseId: string): JsonObject {
  return { modelVersion: context.model, responseId }
}

/** Whether the client asked for thoughts. */
export function includesThoughts({ request }: AnswerContext): boolean {
  return requestsThoughts(objectIn(request ?? {}, 'generationConfig') ?? {})
}

/** A call with its signature. The first call of an answer may carry that of the preceding `thoughts` instead. */
export function writeCall(call: ToolCall, thoughts?: { reasoning: string; signature: string }): JsonObject {
  const { id, signature } = call
  const thoughtsSignature =
    thoughts &&
    (signatureFor('gemini', thoughts.signature) ??
      wrapForeignThoughts(thoughts.signature, thoughts.reasoning))
  return {
    functionCall: { id, name: call.name, args: argumentObject(call.arguments) },
    ...present({ thoughtSignature: signature ?? thoughtsSignature }),
  }
}

export function writeFile({ mediaType, data }: GeneratedFile): JsonObject {
  return { inlineData: { mimeType: mediaType, data } }
}

export function writeLogprobs(logprobs: readonly TokenLogprob[]): JsonObject {
  return {
    chosenCandidates: logprobs.map(writeToken),
    topCandidates: logprobs.map(({ topLogprobs }) => ({ candidates: topLogprobs.map(writeToken) })),
  }
}

function writeToken({ token, logprob }: { token: string; logprob: number }): JsonObject {
  return { token, logProbability: logprob }
}
