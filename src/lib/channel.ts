import type { Worker } from 'node:cluster'

export interface TopicOptions {
  /** Timeout for the reply, in milliseconds. Absent: a request waits until the other process exits. */
  timeoutMs?: number
  /** A message that may be dropped: it is not sent while the other process does not read. */
  isHint?: boolean
  /** The primary handles the message even if its worker has exited. Other messages of dead workers are ignored. */
  afterExit?: boolean
}

/** A kind of message: its name and the types of its payload and reply. A message without a reply is a cast. */
export interface Topic<Payload, Reply> extends TopicOptions {
  readonly name: string
  /** Never set: binds the types to the topic. */
  readonly types?: (payload: Payload) => Reply
}

/** Defines a topic. Payloads and replies are plain JSON; both processes run the same version of the file that defines it. */
export function topic<Payload = void, Reply = void>(
  name: string,
  options: TopicOptions = {},
): Topic<Payload, Reply> {
  return { name, ...options }
}

/** One end of a pipe between two processes. Messages arrive whole and in order. */
export interface Pipe {
  /** Calls `sent` once the message has left this process. Returns false or throws if the other process is gone. */
  send(message: object, sent: () => void): boolean
  /** Calls `listener` with every message, including those of other users of the pipe. */
  onMessage(listener: (message: unknown) => void): void
}

/** The pipe of a Node cluster: `cluster.worker` in a worker, one of `cluster.workers` in the primary. */
export function workerPipe(worker: Worker): Pipe {
  return {
    send(message, sent) {
      if (!worker.isConnected()) return false
      worker.send(message, sent)
      return true
    },
    onMessage: (listener) => {
      worker.on('message', listener)
    },
  }
}

/** A request failed: the other process has exited, does not read, did not reply in time, or replied with an error. */
export class ChannelError extends Error {
  readonly reason: 'closed' | 'congested' | 'timeout' | 'failed'

  constructor(reason: ChannelError['reason'], message: string) {
    super(message)
    this.name = 'ChannelError'
    this.reason = reason
  }
}

/** A message on the pipe. With an `id` it expects a reply; without one it is a cast. */
type Frame = { topic: string; id?: number; payload?: unknown } | ReplyFrame
type ReplyFrame = { replyTo: number; payload?: unknown; error?: string }

type AnyTopic = Topic<never, unknown>

interface Handler {
  topic: AnyTopic
  handle(payload: unknown, from: Channel): unknown
}

/** The handlers of a process, one per topic. The primary shares one set among all workers. */
export class Handlers {
  readonly #byName = new Map<string, Handler>()

  /** Sets the handler of a topic. If it throws or rejects, the request of the other process is rejected with that message. */
  on<Payload, Reply>(
    topic: Topic<Payload, Reply>,
    handle: (payload: Payload, from: Channel) => Reply | Promise<Reply>,
  ): void {
    this.#byName.set(topic.name, { topic, handle: (payload, from) => handle(payload as Payload, from) })
  }

  find(name: string): Handler | undefined {
    return this.#byName.get(name)
  }
}

/** Maximum number of unsent messages; beyond it, the other process is considered hung. */
const maxUnsent = 10_000

interface PendingRequest {
  resolve(reply: unknown): void
  reject(error: ChannelError): void
}

/** Typed messages between the primary of a cluster and one worker; both ends use this class. */
export class Channel {
  /** Id of the worker at the other end; empty in a worker. */
  readonly id: string
  readonly #pipe: Pipe
  readonly #handlers: Handlers
  readonly #pending = new Map<number, PendingRequest>()
  #lastId = 0
  #unsent = 0
  #state: 'open' | 'exited' | 'closed' = 'open'

  constructor(pipe: Pipe, id = '', handlers = new Handlers()) {
    this.id = id
    this.#pipe = pipe
    this.#handlers = handlers
    pipe.onMessage((message) => {
      if (isFrame(message)) this.#receive(message)
    })
  }

  on<Payload, Reply>(
    topic: Topic<Payload, Reply>,
    handle: (payload: Payload, from: Channel) => Reply | Promise<Reply>,
  ): void {
    this.#handlers.on(topic, handle)
  }

  /** Sends a message without a reply. Returns false if the other process has exited. */
  cast(topic: Topic<void, void>): boolean
  cast<Payload>(topic: Topic<Payload, void>, payload: Payload): boolean
  cast<Payload>({ name, isHint = false }: Topic<Payload, void>, payload?: Payload): boolean {
    if (isHint && this.#isCongested) return true
    return this.#send({ topic: name, payload })
  }

  /** Sends a message and resolves with the reply; rejects with a ChannelError. */
  request<Reply>(topic: Topic<void, Reply>): Promise<Reply>
  request<Payload, Reply>(topic: Topic<Payload, Reply>, payload: Payload): Promise<Reply>
  async request<Payload, Reply>(topic: Topic<Payload, Reply>, payload?: Payload): Promise<Reply> {
    if (this.#isCongested)
      throw new ChannelError('congested', `${topic.name}: the other process does not read`)
    const id = ++this.#lastId
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    this.#pending.set(id, { resolve, reject })
    const timer = topic.timeoutMs === undefined ? undefined : setTimeout(timedOut, topic.timeoutMs)
    function timedOut(): void {
      reject(new ChannelError('timeout', `${topic.name}: the other process does not answer`))
    }
    try {
      if (!this.#send({ topic: topic.name, id, payload })) throw unreachable(topic)
      return (await promise) as Reply
    } finally {
      clearTimeout(timer)
      this.#pending.delete(id)
    }
  }

  /** Whether the other process is running, as far as this one knows. */
  get isOpen(): boolean {
    return this.#state === 'open'
  }

  /** Call when the worker has exited; messages that it sent before may still arrive. */
  exited(): void {
    this.#state = 'exited'
  }

  /** Call when no more messages can arrive. Rejects pending requests. */
  close(): void {
    this.#state = 'closed'
    for (const { reject } of this.#pending.values())
      reject(new ChannelError('closed', 'the other process has ended'))
  }

  get #isCongested(): boolean {
    return this.#unsent >= maxUnsent
  }

  #send(frame: Frame): boolean {
    if (this.#state === 'closed') return false
    this.#unsent++
    try {
      if (this.#pipe.send(frame, () => this.#unsent--)) return true
    } catch {
      // The pipe is closed: the other process has exited.
    }
    this.#unsent--
    return false
  }

  #receive(frame: Frame): void {
    if (this.#state === 'closed') return
    if ('replyTo' in frame) {
      this.#settle(frame)
      return
    }
    const handler = this.#handlers.find(frame.topic)
    if (this.#state === 'exited' && !handler?.topic.afterExit) return
    if (frame.id === undefined) handler?.handle(frame.payload, this)
    else void this.#reply(frame.id, frame.payload, handler)
  }

  #settle({ replyTo, payload, error }: ReplyFrame): void {
    const pending = this.#pending.get(replyTo)
    if (error === undefined) pending?.resolve(payload)
    else pending?.reject(new ChannelError('failed', error))
  }

  /** A reply that is not a promise is sent before the next message is handled. */
  async #reply(id: number, payload: unknown, handler: Handler | undefined): Promise<void> {
    try {
      if (!handler) throw new Error('the other process does not handle this message')
      const reply = handler.handle(payload, this)
      this.#send({ replyTo: id, payload: reply instanceof Promise ? await reply : reply })
    } catch (error) {
      this.#send({ replyTo: id, error: error instanceof Error ? error.message : String(error) })
    }
  }
}

function unreachable({ name }: AnyTopic): ChannelError {
  return new ChannelError('closed', `${name}: the other process cannot be reached`)
}

function isFrame(message: unknown): message is Frame {
  return typeof message === 'object' && message !== null && ('topic' in message || 'replyTo' in message)
}
