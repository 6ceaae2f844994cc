import { randomBytes } from 'node:crypto'
import type { AnswerContext } from '../../sdk/dialect.ts'
import type { Exchange } from '../exchange.ts'
import type { ChatCall } from '../request/chat-request.ts'

/** What the writer of a client's answer is told of its call; what costs something is made when it is asked for. */
export class CallAnswerContext implements AnswerContext {
  readonly model: string
  readonly includeUsage: boolean
  readonly #call: ChatCall
  readonly #exchange: Exchange
  #id: string | undefined
  #created: number | undefined

  constructor(call: ChatCall, exchange: Exchange) {
    this.model = call.alias
    this.includeUsage = call.includeUsage
    this.#call = call
    this.#exchange = exchange
  }

  get id(): string {
    this.#id ??= randomBytes(12).toString('hex')
    return this.#id
  }

  get created(): number {
    this.#created ??= Math.floor(Date.now() / 1000)
    return this.#created
  }

  get request(): Record<string, unknown> {
    return this.#call.readBody()
  }

  elapsedMs(): number {
    return this.#exchange.elapsedMs()
  }

  now(): Date {
    return new Date()
  }
}
