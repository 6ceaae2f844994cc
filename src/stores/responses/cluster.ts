import type { ResponseStore } from '../../sdk/response-store.ts'
import type { ProcessPipe } from '../link.ts'
import { type ResponseBounds, ResponseTable } from './table.ts'

/** Each question has one answer; `keep` too, because an answer is kept before its client may go on from it. */
export type ResponseMessage =
  | { responses: 'find' | 'remove'; ask: number; id: string }
  | { responses: 'keep'; ask: number; id: string; json: string }
  | { responses: 'answer'; ask: number; json?: string; removed?: boolean }

type Question = Exclude<ResponseMessage, { responses: 'answer' }>
type Answer = Extract<ResponseMessage, { responses: 'answer' }>

/** Answers of a worker, kept by the primary for all workers of the machine; they outlive a worker, not the primary. */
export function primaryResponses(pipe: ProcessPipe<ResponseMessage>): ResponseStore {
  const asked = new Map<number, (answer: Answer) => void>()
  let last = 0
  pipe.onMessage((message) => {
    if (!isResponseMessage(message) || message.responses !== 'answer') return
    asked.get(message.ask)?.(message)
    asked.delete(message.ask)
  })
  const ask = (question: (ask: number) => Question): Promise<Answer> => {
    const number = ++last
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    asked.set(number, resolve)
    // A worker ends with its primary, so a question that was sent is answered or nobody waits for it.
    if (!trySend(pipe, question(number))) {
      asked.delete(number)
      reject(new Error('the primary cannot be reached'))
    }
    return promise
  }
  return {
    async find(id) {
      const { json } = await ask((number) => ({ responses: 'find', ask: number, id }))
      return json === undefined ? undefined : JSON.parse(json)
    },
    async keep(id, stored) {
      const json = JSON.stringify(stored)
      await ask((number) => ({ responses: 'keep', ask: number, id, json }))
    },
    async remove(id) {
      const { removed } = await ask((number) => ({ responses: 'remove', ask: number, id }))
      return removed === true
    },
  }
}

/** The primary's side: the one table for all workers. */
export class ResponseDesk {
  readonly #table: ResponseTable

  /** `now`: monotonic milliseconds. */
  constructor(bounds: ResponseBounds, now: () => number) {
    this.#table = new ResponseTable(bounds, now)
  }

  addWorker(pipe: ProcessPipe<ResponseMessage>): void {
    pipe.onMessage((message) => {
      if (!isResponseMessage(message) || message.responses === 'answer') return
      trySend(pipe, { responses: 'answer', ask: message.ask, ...this.#serve(message) })
    })
  }

  #serve(question: Question): { json?: string; removed?: boolean } {
    switch (question.responses) {
      case 'find': {
        const json = this.#table.find(question.id)
        return json === undefined ? {} : { json }
      }
      case 'keep':
        this.#table.keep(question.id, question.json)
        return {}
      case 'remove':
        return { removed: this.#table.remove(question.id) }
    }
  }
}

/** Both ends run the same version of this file, so the tag says all. */
function isResponseMessage(message: unknown): message is ResponseMessage {
  return typeof message === 'object' && message !== null && 'responses' in message
}

function trySend(pipe: ProcessPipe<ResponseMessage>, message: ResponseMessage): boolean {
  try {
    return pipe.send(message)
  } catch {
    return false // closed: the process at its other end is gone
  }
}
