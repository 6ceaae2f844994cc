import type { Worker } from 'node:cluster'
import { Channel, Handlers, type Pipe, type Topic, workerPipe } from './channel.ts'

/** Maximum wait for the last messages of a worker after its exit, in milliseconds. */
const lastMessagesMs = 1_000

/** The primary's channels to all running workers. Handlers get the channel that identifies the worker. */
export class WorkerChannels {
  readonly #handlers = new Handlers()
  readonly #channels = new Map<string, Channel>()
  readonly #started: ((worker: Channel) => void)[] = []
  readonly #exited: ((worker: Channel) => void)[] = []
  readonly #drained: ((worker: Channel) => void)[] = []

  /** Handles a topic from every worker, including those that start later. */
  on<Payload, Answer>(
    topic: Topic<Payload, Answer>,
    handle: (payload: Payload, worker: Channel) => Answer | Promise<Answer>,
  ): void {
    this.#handlers.on(topic, handle)
  }

  /** Calls `listener` with each started worker. */
  onStart(listener: (worker: Channel) => void): void {
    this.#started.push(listener)
  }

  /** Calls `listener` when a worker has exited. */
  onExit(listener: (worker: Channel) => void): void {
    this.#exited.push(listener)
  }

  /** Calls `listener` when a worker has exited and its last messages have been handled. */
  onDrained(listener: (worker: Channel) => void): void {
    this.#drained.push(listener)
  }

  /** Casts to all running workers. */
  broadcast<Payload>(topic: Topic<Payload, void>, payload: Payload): void {
    for (const channel of this.#channels.values()) channel.cast(topic, payload)
  }

  connect(worker: Worker): void {
    const id = String(worker.id)
    this.add(id, workerPipe(worker))
    worker.once('exit', () => {
      this.exited(id)
      afterLastMessage(worker, () => this.drained(id))
    })
  }

  add(id: string, pipe: Pipe): void {
    const channel = new Channel(pipe, id, this.#handlers)
    this.#channels.set(id, channel)
    for (const listener of this.#started) listener(channel)
  }

  exited(id: string): void {
    const channel = this.#channels.get(id)
    channel?.exited()
    if (channel) for (const listener of this.#exited) listener(channel)
  }

  drained(id: string): void {
    const channel = this.#channels.get(id)
    this.#channels.delete(id)
    channel?.close()
    if (channel) for (const listener of this.#drained) listener(channel)
  }
}

/** Does not rely on `disconnect`, which may never be emitted for a killed worker. */
function afterLastMessage(worker: Worker, done: () => void): void {
  if (!worker.isConnected()) {
    done()
    return
  }
  const timer = setTimeout(end, lastMessagesMs)
  worker.once('disconnect', end)
  function end(): void {
    clearTimeout(timer)
    worker.off('disconnect', end)
    done()
  }
}
