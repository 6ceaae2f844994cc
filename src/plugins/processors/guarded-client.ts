import { ChunkList } from '../../lib/bytes/chunk-list.ts'
import type { ChatClient, ClientStream } from '../../relay/answer/client-stream.ts'
import type { RouterError } from '../../sdk/errors.ts'
import type { AnswerForm } from './answer-form.ts'
import type { AnswerGuard } from './answer-guard.ts'
import { judgedAnswer, whyBlocked } from './judged-answer.ts'
import { JudgedStream, type JudgedStreamOptions } from './judged-stream.ts'

export interface GuardedOptions
  extends Pick<
    JudgedStreamOptions,
    'replaced' | 'removedOffsets' | 'blocked' | 'failed' | 'isStructured' | 'judging'
  > {
  readonly guard: Pick<AnswerGuard, 'judge'>
  readonly form: AnswerForm
}

/** Maximum size of a whole response that is held, in bytes. */
const maxHeldBytes = 64 * 1024 * 1024

/** The client's side of a response that is sent only as far as it was judged. */
export class GuardedClient implements ChatClient {
  readonly #inner: ChatClient
  readonly #options: GuardedOptions
  #finished: Promise<void> = Promise.resolve()

  constructor(inner: ChatClient, options: GuardedOptions) {
    this.#inner = inner
    this.#options = options
  }

  /** Fulfilled when nothing more will be sent. Rejects with the client's error if nothing has been sent. */
  settled(): Promise<void> {
    return this.#finished
  }

  stream(): ClientStream {
    const { guard, form, replaced, removedOffsets, blocked, failed, isStructured, judging } = this.#options
    return new JudgedStream(this.#inner.stream(), {
      guard,
      replaced,
      removedOffsets,
      blocked,
      failed,
      isStructured,
      judging,
      reasonOf: whyBlocked,
      contents: form.contents,
      mediaType: form.mediaType,
      onCommit: (finished) => this.#await(finished),
      writeError: (error) => this.#inner.writeError(error),
    })
  }

  whole(body: Buffer | string): void {
    const judged = this.#judge(Buffer.isBuffer(body) ? body : Buffer.from(body))
    this.#await(judged.then((bytes) => this.#inner.whole(bytes)))
  }

  large(): ClientStream {
    const chunks = new ChunkList()
    let length = 0
    const inner = this.#inner.large()
    let isDiscarded = false
    const send = (bytes: Buffer): void => {
      if (isDiscarded) return
      inner.commit()
      inner.write(bytes)
      inner.end()
    }
    return {
      committed: false,
      commit() {},
      write(bytes) {
        length += bytes.length
        if (length <= maxHeldBytes) chunks.add(Buffer.from(bytes))
        return true
      },
      onDrain: (resume) => resume(),
      end: () => {
        const all = Buffer.concat(chunks.take())
        const judged =
          length > maxHeldBytes ? Promise.reject(new RangeError('answer too long')) : this.#judge(all)
        this.#await(judged.then(send))
      },
      reset: () => inner.reset(),
      discard() {
        isDiscarded = true
      },
    }
  }

  writeError(error: RouterError): string {
    return this.#inner.writeError(error)
  }

  #judge(body: Buffer): Promise<Buffer> {
    return judgedAnswer(body, this.#options.form.answers, this.#options)
  }

  #await(finished: Promise<void>): void {
    this.#finished = finished
    finished.catch(() => undefined) // whoever waits for it gets the error
  }
}
