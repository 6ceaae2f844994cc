import type { HealthTeam, ServerState } from '../sdk/health-team.ts'
import type { ProcessPipe } from '../stores/link.ts'

/** Who sent a message is known by its pipe, so none names its worker. Servers are told apart by their keys. */
export type HealthMessage =
  /** From a worker: it can check, it cannot any more, it checks and is alive. */
  | { health: 'join' | 'leave' | 'beat' }
  /** To a worker: whether the checks are its own. */
  | { health: 'duty'; on: boolean }
  /** From the one on duty, and then to all. */
  | { health: 'found'; server: string; state: ServerState }
  /** From any worker, and then to the one on duty: a server whose checks fail has answered a request. */
  | { health: 'answered'; server: string }

type HealthPipe = ProcessPipe<HealthMessage>

/** The one on duty is heard of this often, in milliseconds. */
const beatMs = 1_000
/** So long without a word, and somebody else takes over, in milliseconds: the process hangs. */
const silentMs = 5_000

/** A worker's side. */
export function primaryHealth(pipe: HealthPipe): HealthTeam {
  let beats: NodeJS.Timeout | undefined
  let left = false
  const setDuty = (on: boolean): void => {
    clearInterval(beats)
    beats = on ? setInterval(() => trySend(pipe, { health: 'beat' }), beatMs) : undefined
  }
  return {
    join(member) {
      pipe.onMessage((message) => {
        if (!isHealthMessage(message)) return
        if (message.health === 'found') member.learned(message.server, message.state)
        if (message.health === 'answered') member.answered(message.server)
        // The duty may have been on its way here when this process left.
        if (message.health !== 'duty' || left) return
        setDuty(message.on)
        member.duty(message.on)
      })
      trySend(pipe, { health: 'join' })
    },
    tell(server, state) {
      trySend(pipe, { health: 'found', server, state })
    },
    answered(server) {
      trySend(pipe, { health: 'answered', server })
    },
    leave() {
      left = true
      setDuty(false)
      trySend(pipe, { health: 'leave' })
    },
  }
}

interface Desk {
  pipe: HealthPipe
  /** Only who has joined hears anything; who leaves gets no duty. */
  is: 'new' | 'able' | 'leaving'
}

/** The primary's side: who is on duty, and which servers are not up. */
export class HealthDesk {
  /** In the order in which they get the duty. */
  readonly #workers = new Map<string, Desk>()
  readonly #troubled = new Map<string, ServerState>()
  readonly #silentMs: number
  #onDuty: string | undefined
  #silence: NodeJS.Timeout | undefined

  /** `silentAfterMs`: how long the one on duty may say nothing. */
  constructor(silentAfterMs = silentMs) {
    this.#silentMs = silentAfterMs
  }

  addWorker(owner: string, pipe: HealthPipe): void {
    const desk: Desk = { pipe, is: 'new' }
    this.#workers.set(owner, desk)
    pipe.onMessage((message) => {
      if (isHealthMessage(message) && this.#workers.has(owner)) this.#hear(owner, desk, message)
    })
  }

  /** No message of it will come any more. */
  removeWorker(owner: string): void {
    this.#workers.delete(owner)
    if (owner === this.#onDuty) this.#appoint()
  }

  #hear(owner: string, desk: Desk, message: HealthMessage): void {
    if (owner === this.#onDuty) this.#expectMore()
    switch (message.health) {
      case 'join':
        desk.is = 'able'
        for (const [server, state] of this.#troubled) trySend(desk.pipe, { health: 'found', server, state })
        if (this.#onDuty === undefined) this.#appoint()
        return
      case 'leave':
        desk.is = 'leaving'
        if (owner === this.#onDuty) this.#appoint()
        return
      case 'found':
        // One that hung may wake up and tell what somebody else has seen better since.
        if (owner === this.#onDuty) this.#found(message.server, message.state)
        return
      case 'answered':
        this.#tellDuty(message)
        return
      case 'beat':
      case 'duty':
        return
    }
  }

  #found(server: string, state: ServerState): void {
    if (state === 'up' || state === 'gone') this.#troubled.delete(server)
    else this.#troubled.set(server, state)
    for (const { pipe, is } of this.#workers.values()) {
      if (is !== 'new') trySend(pipe, { health: 'found', server, state })
    }
  }

  #tellDuty(message: HealthMessage): void {
    const desk = this.#onDuty === undefined ? undefined : this.#workers.get(this.#onDuty)
    if (desk) trySend(desk.pipe, message)
  }

  #appoint(): void {
    clearTimeout(this.#silence)
    const [next] = [...this.#workers].find(([, { is }]) => is === 'able') ?? []
    this.#onDuty = next
    const desk = next === undefined ? undefined : this.#workers.get(next)
    if (!desk) return
    trySend(desk.pipe, { health: 'duty', on: true })
    this.#expectMore()
  }

  #expectMore(): void {
    clearTimeout(this.#silence)
    this.#silence = setTimeout(() => this.#replace(), this.#silentMs)
  }

  /** The one on duty hangs: it comes last from now on, and hears so when it wakes up. */
  #replace(): void {
    const hanging = this.#onDuty
    const desk = hanging === undefined ? undefined : this.#workers.get(hanging)
    if (hanging === undefined || !desk) return
    trySend(desk.pipe, { health: 'duty', on: false })
    this.#workers.delete(hanging)
    this.#workers.set(hanging, desk)
    this.#appoint()
  }
}

/** Both ends run the same version of this file, so the tag says all. */
function isHealthMessage(message: unknown): message is HealthMessage {
  return typeof message === 'object' && message !== null && 'health' in message
}

function trySend(pipe: HealthPipe, message: HealthMessage): void {
  try {
    pipe.send(message)
  } catch {
    // The process at the other end is gone, and whoever notices its end cleans up.
  }
}
