import { inContext, type Judge, verdictOf } from './judge.ts'

/** One turn of the conversation to judge. */
export interface JudgedTurn {
  readonly role: 'user' | 'assistant'
  readonly text: string
}

/** Sends the turns to a model, whose chat template builds the prompt. Resolves with its text. */
export type AskModel = (turns: readonly JudgedTurn[], signal: AbortSignal) => Promise<string>

/**
 * A model that answers as Llama Guard does: `safe`, or `unsafe` and the categories on the next line. It judges the last turn, so
 * each passage of an answer is asked for by itself. Source: Meta's model card of Llama Guard 3, "Model output".
 */
export function modelJudge(ask: AskModel): Judge {
  return async (judged) => {
    const { before, prompt, signal } = judged
    const texts = inContext(judged)
    const asks: JudgedTurn[][] = before
      ? texts.map((text) => [...userTurn(prompt), { role: 'assistant', text }])
      : [userTurn(texts.join('\n\n'))]
    const answers = await Promise.all(asks.map((turns) => ask(turns, signal)))
    return verdictOf(answers.every(isSafeVerdict))
  }
}

function userTurn(text: string): JudgedTurn[] {
  return text.trim() === '' ? [] : [{ role: 'user', text }]
}

function isSafeVerdict(answer: string): boolean {
  const [word = ''] = answer.trim().toLowerCase().split(/\s/, 1)
  if (word !== 'safe' && word !== 'unsafe') throw new Error('the model returned no verdict')
  return word === 'safe'
}
