import { type Channel, topic } from '../lib/channel.ts'
import type { WorkerChannels } from '../lib/worker-channels.ts'
import type { EngineSignals } from '../sdk/engine-signals.ts'
import type { CheckedState } from '../sdk/target.ts'

/** `gone`: no target is behind the server any more, so nothing is known of it. */
export type ServerState = CheckedState | 'gone'

/** A process that can check servers, and acts on the results. */
export interface HealthPeer {
  /** True: this process checks from now on. False: another one does, or none. */
  lead(isLeader: boolean): void
  /** What the checks have found, whoever does them. */
  learned(server: string, state: ServerState): void
  /** Only for the leader: a request of some process has just had its first content from the server. */
  answered(server: string): void
  /** What an engine has said of itself; null: nothing is known of it now. */
  heard(engine: string, signals: EngineSignals | null): void
}

/** The processes that share a configuration: one of them, the leader, checks the servers, and all learn what it finds. */
export interface HealthPeers {
  /** The peer learns what is known already, and then each change. Once per process. */
  join(peer: HealthPeer): void
  /** A change that the leader has found; all peers learn it, this one too. Ignored from any other process. */
  report(server: string, state: ServerState): void
  /** A request of this process has had its first content from a server whose checks fail; the leader is told. */
  answered(server: string): void
  /** What an engine said of itself; all peers hear it, this one too. Ignored from any other process than the leader. */
  tell(engine: string, signals: EngineSignals | null): void
  /** This process ends: another one leads. It still learns what is found. */
  leave(): void
}

/** Servers are identified by their keys. */
interface Found {
  server: string
  state: ServerState
}

interface Said {
  engine: string
  signals: EngineSignals | null
}

const join = topic('health.join')
const alive = topic('health.alive')
/** What a worker has seen is so although it has exited. */
const afterExit = true
const leave = topic('health.leave', { afterExit })
const lead = topic<boolean>('health.lead')
/** From the leader, and then to all. */
const found = topic<Found>('health.found', { afterExit })
/** From any worker, and then to the leader. */
const answered = topic<string>('health.answered', { afterExit })

/** From the leader, and then to all. The next poll makes up for a lost one. */
const said = topic<Said>('health.said', { isHint: true })

/** The leader says this often that it is alive, in milliseconds. */
const aliveEveryMs = 1_000
/** A leader that has been silent for so long hangs, and another one takes over, in milliseconds. */
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
    tell: (engine, signals) => self?.heard(engine, signals),
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
      primary.on(said, ({ engine, signals }) => peer.heard(engine, signals))
      primary.on(lead, (isLeader) => {
        // It may have been on its way when this process left.
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
    tell(engine, signals) {
      primary.cast(said, { engine, signals })
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
  const engines = new Map<string, EngineSignals>()
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
  /** It is elected last from now on, and is told so when it wakes up. */
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
    for (const [engine, signals] of engines) worker.cast(said, { engine, signals })
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
    // One that hung may wake up and report what another leader has since seen better.
    if (worker !== leader) return
    watchLeader()
    if (state === 'up' || state === 'gone') notUp.delete(server)
    else notUp.set(server, state)
    for (const peer of peers.keys()) peer.cast(found, { server, state })
  })
  workers.on(said, ({ engine, signals }, worker) => {
    if (worker !== leader) return
    watchLeader()
    if (signals) engines.set(engine, signals)
    else engines.delete(engine)
    for (const peer of peers.keys()) peer.cast(said, { engine, signals })
  })
  workers.onDrained((worker) => {
    peers.delete(worker)
    if (worker === leader) elect()
  })
}
