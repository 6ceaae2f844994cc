import { type Channel, topic } from '../lib/channel.ts'
import type { WorkerChannels } from '../lib/worker-channels.ts'
import type { CheckedState } from '../sdk/target.ts'
import type { FleetMessage } from '../stores/fleet/store.ts'

/** `gone`: the server no longer has targets, so its state is unknown. */
export type ServerState = CheckedState | 'gone'

/** A process that can check servers and acts on the results. */
export interface HealthPeer {
  /** true: this process becomes the leader. false: another process is the leader, or none. */
  lead(isLeader: boolean): void
  /** A check has changed the state of a server, whichever process made it. */
  learned(server: string, state: ServerState): void
  /** Only called for the leader: a request of any process has just received its first content from the server. */
  answered(server: string): void
  /** A broadcast of the leader. `router`: id of the router that it is from; empty: this one. */
  receive(message: FleetMessage, router: string): void
  /** Only called for the leader: a request of any process waits for this sleeping engine. */
  wake(engine: string): void
}

/** The processes that share a configuration: the leader checks the servers, and all receive the results. */
export interface HealthPeers {
  /** Sends the known state to the peer, then each change. To be called once per process. */
  join(peer: HealthPeer): void
  /** Reports a state change to all peers, including this one. Ignored unless this process is the leader. */
  report(server: string, state: ServerState): void
  /** Tells the leader that a request of this process has received its first content from a server whose checks fail. */
  answered(server: string): void
  /** Broadcasts to all peers, including this one. Ignored unless this process is the leader. */
  tell(message: FleetMessage, router: string): void
  /** Tells the leader that a request of this process waits for a sleeping engine. */
  wake(engine: string): void
  /** Steps down because this process is about to exit. It still receives results. */
  leave(): void
}

/** A changed server, identified by its key. */
interface StateChange {
  server: string
  state: ServerState
}

interface Broadcast {
  message: FleetMessage
  router: string
}

const join = topic('health.join')
const alive = topic('health.alive')
/** Handled even if the worker has exited, because its observation remains true. */
const afterExit = true
const leave = topic('health.leave', { afterExit })
const lead = topic<boolean>('health.lead')
/** From the leader; the primary forwards it to all. */
const found = topic<StateChange>('health.found', { afterExit })
/** From any worker; the primary forwards it to the leader. */
const answered = topic<string>('health.answered', { afterExit })

/** From the leader; the primary forwards it to all. A dropped message is corrected by the next poll. */
const broadcast = topic<Broadcast>('health.broadcast', { isHint: true })

/** From any worker; the primary forwards it to the leader. */
const wake = topic<string>('health.wake')

/** Heartbeat interval of the leader, in milliseconds. */
const aliveEveryMs = 1_000
/** Maximum time without a heartbeat before the leader is replaced, in milliseconds. */
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
    tell: (message, router) => self?.receive(message, router),
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
      primary.on(broadcast, ({ message, router }) => peer.receive(message, router))
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
      primary.cast(broadcast, { message, router })
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

/** The primary's side: elects the leader and remembers which servers are not up. */
export function serveHealth(workers: WorkerChannels): void {
  /** Joined workers, in the order in which they become leader; false: the worker is about to exit. */
  const peers = new Map<Channel, boolean>()
  const notUp = new Map<string, ServerState>()
  /** Last signals by engine. */
  const engines = new Map<string, Broadcast>()
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
  /** Moves the leader to the end of the order of election; it gets the news when it responds again. */
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
    for (const last of engines.values()) worker.cast(broadcast, last)
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
    // A leader that hung may resume and report results that the new leader has since updated.
    if (worker !== leader) return
    watchLeader()
    if (state === 'up' || state === 'gone') notUp.delete(server)
    else notUp.set(server, state)
    for (const peer of peers.keys()) peer.cast(found, { server, state })
  })
  workers.on(wake, (engine) => {
    leader?.cast(wake, engine)
  })
  workers.on(broadcast, (news, worker) => {
    if (worker !== leader) return
    watchLeader()
    const { message } = news
    if (message.type === 'signals' && message.signals) engines.set(message.server, news)
    else if (message.type === 'signals') engines.delete(message.server)
    for (const peer of peers.keys()) peer.cast(broadcast, news)
  })
  workers.onDrained((worker) => {
    peers.delete(worker)
    if (worker === leader) elect()
  })
}
