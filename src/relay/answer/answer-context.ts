import { randomBytes } from 'node:crypto'
import type { AnswerContext } from '../../sdk/dialect.ts'
import type { Drop } from '../../sdk/write-options.ts'
import type { Exchange } from '../exchange.ts'
import { type ClientRequest, exactBody } from '../request/client-request.ts'

/** Properties of the request for the writer of a client's response; expensive ones are computed on demand. */
export class ClientAnswerContext implements AnswerContext {
  readonly model: string
  readonly includeUsage: boolean
  readonly #request: ClientRequest
  readonly #exchange: Exchange
  #body: Record<string, unknown> | undefined
  #id: string | undefined
  #created: number | undefined

  constructor(request: ClientRequest, exchange: Exchange) {
    this.model = request.alias
    this.includeUsage = request.includeUsage
    this.#request = request
    this.#exchange = exchange
  }

  get id(): string {
    this.#id ??= this.#request.answerId ?? randomBytes(12).toString('hex')
    return this.#id
  }

  get created(): number {
    this.#created ??= Math.floor(Date.now() / 1000)
    return this.#created
  }

  get request(): Record<string, unknown> {
    this.#body ??= exactBody(this.#request)
    return this.#body
  }

  readonly drop: Drop = (field, why) => this.#exchange.drop(field, why)

  elapsedMs(): number {
    return this.#exchange.elapsedMs()
  }

  now(): Date {
    return new Date()
  }
}
