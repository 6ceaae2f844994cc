import type { Behaviour } from '../helpers/scripted-upstream.ts'
import * as upstreams from '../helpers/scripted-upstream.ts'
import * as anthropic from './anthropic-answers.ts'

/** The responses of one kind of server to the questions that the tests of the official clients ask servers of every kind. */
export interface Answers {
  text: Behaviour
  stream: Behaviour
  toolCall: Behaviour
  toolCallStream: Behaviour
  /** Breaks off after its first content. */
  brokenStream: Behaviour
}

export const openaiAnswers: Answers = {
  text: upstreams.openaiText('Hi there'),
  stream: upstreams.openaiStream(['Hi', ' there']),
  toolCall: upstreams.openaiToolCall('get_weather', { city: 'Oslo' }),
  toolCallStream: upstreams.openaiToolCallStream('get_weather', ['{"city":', '"Oslo"}']),
  brokenStream: { kind: 'stream', pieces: [upstreams.openaiChunk({ role: 'assistant', content: 'Hi' })] },
}

export const ollamaAnswers: Answers = {
  text: upstreams.ollamaText('Hi there'),
  stream: upstreams.ollamaStream(['Hi', ' there']),
  toolCall: upstreams.ollamaToolCall('get_weather', { city: 'Oslo' }),
  toolCallStream: upstreams.ollamaToolCallStream('get_weather', { city: 'Oslo' }),
  brokenStream: upstreams.ollamaPieces([upstreams.ollamaLine({ content: 'Hi' })]),
}

export const anthropicAnswers: Answers = {
  text: anthropic.anthropicText('Hi there'),
  stream: anthropic.anthropicStream(['Hi', ' there']),
  toolCall: anthropic.anthropicToolCall('get_weather', { city: 'Oslo' }),
  toolCallStream: anthropic.anthropicToolCallStream('get_weather', ['{"city":', '"Oslo"}']),
  brokenStream: anthropic.anthropicBrokenStream(['Hi']),
}
