import type { ConfigFeed, ConfigSource, ConfigTaker, Reloader } from '../config/reloader.ts'
import type { ProcessPipe } from '../stores/link.ts'

/** `reload` is the name of the source. Who sent a message is known by its pipe, so none names its worker. */
export type ReloadMessage =
  /** From a worker that starts: it wants what is in use, and each later snapshot. Answered by `here`. */
  | { reload: string; step: 'join' }
  | { reload: string; step: 'here'; snapshot: unknown }
  /** To each worker: can it take this? Answered by `prepared`. */
  | { reload: string; step: 'prepare'; round: number; snapshot: unknown }
  | { reload: string; step: 'prepared'; round: number; errors: readonly string[] }
  /** To each worker: all of them could, or one could not. */
  | { reload: string; step: 'commit'; notice: boolean }
  | { reload: string; step: 'drop'; notice: boolean; errors: readonly string[] }
  /** From a worker: the files are to be read again at once. */
  | { reload: string; step: 'again' }

/** The end of a round; one of the workers logs and counts it. */
type SettledMessage =
  | { reload: string; step: 'commit' }
  | { reload: string; step: 'drop'; errors: readonly string[] }

/** Longest wait of the primary for a worker that is busy or starts, in milliseconds. */
const answerMs = 10_000

/** A worker's side: the primary reads the files, and all workers take the same bytes together. */
export function primaryFeed<Snapshot>(
  pipe: ProcessPipe<ReloadMessage>,
  { name }: ConfigSource<Snapshot>,
): ConfigFeed<Snapshot> {
  const here = Promise.withResolvers<Snapshot>()
  const serving = Promise.withResolvers<ConfigTaker<Snapshot> | undefined>()
  const send = (message: ReloadMessage): void => void trySend(pipe, message)
  const obey = async (message: ReloadMessage): Promise<void> => {
    const taker = await serving.promise
    if (message.step === 'prepare') {
      // Both ends run the same version of this file, and a source has snapshots of one kind.
      const errors = (await taker?.prepare(message.snapshot as Snapshot)) ?? []
      send({ reload: name, step: 'prepared', round: message.round, errors })
    } else if (message.step === 'commit') taker?.commit(message.notice)
    else if (message.step === 'drop') taker?.drop(message.errors, message.notice)
  }
  let work: Promise<void> = Promise.resolve()
  pipe.onMessage((message) => {
    if (!isReloadMessage(message) || message.reload !== name) return
    if (message.step === 'here') here.resolve(message.snapshot as Snapshot)
    else work = work.then(() => obey(message))
  })
  let joined = false
  return {
    first() {
      if (!joined) send({ reload: name, step: 'join' })
      joined = true
      return here.promise
    },
    async serve(taker) {
      serving.resolve(taker)
    },
    async reload() {
      send({ reload: name, step: 'again' })
    },
    async close() {
      serving.resolve(undefined)
    },
  }
}

interface Member {
  pipe: ProcessPipe<ReloadMessage>
  /** It has the snapshot that is in use, and takes part from now on. */
  joined: boolean
  /** Fulfilled with the errors that the worker found in a round; none when it has ended. */
  prepared: Map<number, (errors: readonly string[]) => void>
}

/** The primary's side, for one source: the workers that have joined, as takers. */
export class ReloadDesk<Snapshot> {
  readonly #name: string
  readonly #members = new Map<string, Member>()
  #round = 0

  constructor(name: string) {
    this.#name = name
  }

  addWorker(
    owner: string,
    pipe: ProcessPipe<ReloadMessage>,
    reloader: Pick<Reloader<Snapshot>, 'settled' | 'start' | 'reload'>,
  ): void {
    const member: Member = { pipe, joined: false, prepared: new Map() }
    this.#members.set(owner, member)
    pipe.onMessage((message) => {
      if (!isReloadMessage(message) || message.reload !== this.#name) return
      if (message.step === 'prepared') member.prepared.get(message.round)?.(message.errors)
      else if (message.step === 'again') void reloader.reload()
      else if (message.step === 'join') {
        // In one step: between the two no round can begin that leaves it out.
        void reloader.settled().then((snapshot) => {
          trySend(pipe, { reload: this.#name, step: 'here', snapshot })
          // It may have died meanwhile; then nobody must wait for it.
          member.joined = this.#members.get(owner) === member
          // What changed while nobody was there to take it.
          if (member.joined) void reloader.start()
        })
      }
    })
  }

  /** It takes no part any more, also not in a round that is under way. */
  removeWorker(owner: string): void {
    const member = this.#members.get(owner)
    this.#members.delete(owner)
    for (const give of member?.prepared.values() ?? []) give([])
  }

  takers(): ConfigTaker<Snapshot>[] {
    const round = ++this.#round
    const joined = [...this.#members].filter(([, member]) => member.joined)
    let noticed = false
    // The first one that is still there tells: the one that was to do so may have died during the round.
    const settle = (owner: string, message: SettledMessage): void => {
      const member = this.#members.get(owner)
      if (member && trySend(member.pipe, { ...message, notice: !noticed })) noticed = true
    }
    return joined.map(([owner, member]) => this.#takerOf(member, round, (message) => settle(owner, message)))
  }

  #takerOf(member: Member, round: number, settle: (message: SettledMessage) => void): ConfigTaker<Snapshot> {
    const reload = this.#name
    return {
      async prepare(snapshot) {
        const { promise, resolve } = Promise.withResolvers<readonly string[]>()
        member.prepared.set(round, resolve)
        const timer = setTimeout(
          () => resolve([`${reload}: a worker has not answered for ${answerMs / 1000} s`]),
          answerMs,
        )
        if (!trySend(member.pipe, { reload, step: 'prepare', round, snapshot })) resolve([])
        const errors = await promise
        clearTimeout(timer)
        member.prepared.delete(round)
        return errors
      },
      commit: () => settle({ reload, step: 'commit' }),
      drop: (errors) => settle({ reload, step: 'drop', errors }),
    }
  }
}

/** Both ends run the same version of this file, so the tags say all. */
function isReloadMessage(message: unknown): message is ReloadMessage {
  return typeof message === 'object' && message !== null && 'reload' in message && 'step' in message
}

function trySend(pipe: ProcessPipe<ReloadMessage>, message: ReloadMessage): boolean {
  try {
    return pipe.send(message)
  } catch {
    return false // closed: the process at its other end is gone
  }
}
