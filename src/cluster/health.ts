import { type Channel, topic } from '../lib/channel.ts'
import type { WorkerChannels } from '../lib/worker-channels.ts'
import type { CheckedState } from '../sdk/target.ts'
import type { FleetMessage } from '../stores/fleet/store.ts'

/** `gone`: the server has no targets any more, so its state is unknown. */
export type ServerState = CheckedState | 'gone'

/** A process that can check servers, and acts on the results. */
export interface HealthPeer {
  /** True: this process becomes the leader. False: another one is, or none. */
  lead(isLeader: boolean): void
  /** The results of the checks, whichever process makes them. */
  learned(server: string, state: ServerState): void
  /** Only for the leader: a request of some process has just had its first content from the server. */
  answered(server: string): void
  /** Broadcast of the leader; `router`: its origin, another router or, if empty, this one. */
  heard(message: FleetMessage, router: string): void
  /** Only for the leader: a request of some process waits for this engine, which sleeps. */
  wake(engine: string): void
}

/** The processes that share a configuration: the leader checks the servers, and all receive the results. */
export interface HealthPeers {
  /** Sends the known state to the peer, then each change. Once per process. */
  join(peer: HealthPeer): void
  /** A change that the leader has found; all peers learn it, this one too. Ignored from any other process. */
  report(server: string, state: ServerState): void
  /** A request of this process has had its first content from a server whose checks fail; reported to the leader. */
  answered(server: string): void
  /** Broadcasts to all peers, including this one. Ignored unless this process is the leader. */
  tell(message: FleetMessage, router: string): void
  /** A request of this process waits for a sleeping engine; reported to the leader. */
  wake(engine: string): void
  /** Steps down because this process is ending. It still receives results. */
  leave(): void
}

/** Servers are identified by their keys. */
interface Found {
  server: string
  state: ServerState
}

interface Said {
  message: FleetMessage
  router: string
}

const join = topic('health.join')
const alive = topic('health.alive')
/** Handled even if the worker has exited, because its observation remains true. */
const afterExit = true
const leave = topic('health.leave', { afterExit })
const lead = topic<boolean>('health.lead')
/** From the leader, and then to all. */
const found = topic<Found>('health.found', { afterExit })
/** From any worker, and then to the leader. */
const answered = topic<string>('health.answered', { afterExit })

/** From the leader, then to all. A lost message is corrected by the next poll. */
const said = topic<Said>('health.said', { isHint: true })

/** From any worker, and then to the leader. */
const wake = topic<string>('health.wake')

/** Heartbeat interval of the leader, in milliseconds. */
const aliveEveryMs = 1_000
/** A leader without a heartbeat for this long is replaced, in milliseconds. */
const maxSilenceMs = 5_000

/** The peers of this process: the other workers of its cluster, or none. */
export function healthPeers(primary: Channel | undefined): HealthPeers {
  return primary ? clusterPeers(primary) : noPeers()
}

function noPeers(): HealthPeers {
  let self: HealthPeer | undefined
  return {
    join(peer) {
      self = peer
      self.lead(true)
    },
    report: (server, state) => self?.learned(server, state),
    answered: (server) => self?.answered(server),
    tell: (message, router) => self?.heard(message, router),
    wake: (engine) => self?.wake(engine),
    leave: () => undefined,
  }
}

function clusterPeers(primary: Channel): HealthPeers {
  let timer: NodeJS.Timeout | undefined
  let hasLeft = false
  const setLeader = (isLeader: boolean): void => {
    clearInterval(timer)
    timer = isLeader ? setInterval(() => primary.cast(alive), aliveEveryMs) : undefined
  }
  return {
    join(peer) {
      primary.on(found, ({ server, state }) => peer.learned(server, state))
      primary.on(answered, (server) => peer.answered(server))
      primary.on(said, ({ message, router }) => peer.heard(message, router))
      primary.on(wake, (engine) => peer.wake(engine))
      primary.on(lead, (isLeader) => {
        // The message may have been sent before this process stepped down.
        if (hasLeft) return
        setLeader(isLeader)
        peer.lead(isLeader)
      })
      primary.cast(join)
    },
    report(server, state) {
      primary.cast(found, { server, state })
    },
    answered(server) {
      primary.cast(answered, server)
    },
    tell(message, router) {
      primary.cast(said, { message, router })
    },
    wake(engine) {
      primary.cast(wake, engine)
    },
    leave() {
      hasLeft = true
      setLeader(false)
      primary.cast(leave)
    },
  }
}

/** The primary's side: names the leader, and knows which servers are not up. */
export function serveHealth(workers: WorkerChannels): void {
  /** Those that have joined, in the order in which they become leader; false: it is about to end. */
  const peers = new Map<Channel, boolean>()
  const notUp = new Map<string, ServerState>()
  /** Last signals by engine. */
  const engines = new Map<string, Said>()
  let leader: Channel | undefined
  let silence: NodeJS.Timeout | undefined

  const watchLeader = (): void => {
    clearTimeout(silence)
    silence = setTimeout(replaceHungLeader, maxSilenceMs)
  }
  const elect = (): void => {
    clearTimeout(silence)
    leader = [...peers].find(([, canLead]) => canLead)?.[0]
    if (!leader) return
    leader.cast(lead, true)
    watchLeader()
  }
  /** It is elected last from now on, and updated when it responds again. */
  function replaceHungLeader(): void {
    if (!leader) return
    leader.cast(lead, false)
    peers.delete(leader)
    peers.set(leader, true)
    elect()
  }
  const noteAlive = (worker: Channel): void => {
    if (worker === leader) watchLeader()
  }

  workers.on(join, (_, worker) => {
    peers.set(worker, true)
    for (const [server, state] of notUp) worker.cast(found, { server, state })
    for (const last of engines.values()) worker.cast(said, last)
    if (!leader) elect()
  })
  workers.on(leave, (_, worker) => {
    peers.set(worker, false)
    if (worker === leader) elect()
  })
  workers.on(alive, (_, worker) => noteAlive(worker))
  workers.on(answered, (server, worker) => {
    noteAlive(worker)
    leader?.cast(answered, server)
  })
  workers.on(found, ({ server, state }, worker) => {
    // A leader that hung may resume and report results that a new leader has since updated.
    if (worker !== leader) return
    watchLeader()
    if (state === 'up' || state === 'gone') notUp.delete(server)
    else notUp.set(server, state)
    for (const peer of peers.keys()) peer.cast(found, { server, state })
  })
  workers.on(wake, (engine) => {
    leader?.cast(wake, engine)
  })
  workers.on(said, (news, worker) => {
    if (worker !== leader) return
    watchLeader()
    const { message } = news
    if (message.type === 'signals' && message.signals) engines.set(message.server, news)
    else if (message.type === 'signals') engines.delete(message.server)
    for (const peer of peers.keys()) peer.cast(said, news)
  })
  workers.onDrained((worker) => {
    peers.delete(worker)
    if (worker === leader) elect()
  })
}
