import { type Channel, ChannelError, topic } from '../../lib/channel.ts'
import type { WorkerChannels } from '../../lib/worker-channels.ts'
import { RouterError } from '../../sdk/errors.ts'
import type { Actor, Snapshot } from '../../sdk/teams/directory.ts'
import type { BudgetState, SliceRequest } from '../budgets/slices.ts'
import type { UsagePart } from '../usage/sums.ts'
import type { UsageBacklog } from '../usage/writer.ts'
import type { Command, CommandName, CommandResult, Commands } from './commands.ts'
import type { DirectoryHost } from './host.ts'

/** What a process that serves clients sees of the database. */
export interface Directory {
  /** The present clients, groups and keys. */
  snapshot(): Snapshot
  onChange(listener: (snapshot: Snapshot) => void): void
  /** Runs a command. Throws RouterError for the operator, also if the database is not available. */
  run<Name extends CommandName>(
    name: Name,
    input: Commands[Name]['in'],
    actor: Actor,
  ): Promise<Commands[Name]['out']>
  /** Adds usage, which is written soon. */
  addUsage(part: UsagePart): void
  /** Whether the database did not answer the last time. */
  isAway(): boolean
  /** Usage that is not in the database yet. */
  usageBacklog(): UsageBacklog
  /** Books the usage that was added before, then gives this process its slices. Rejects while the database is away. */
  renewBudgets(request: SliceRequest): Promise<BudgetState[]>
  /** This process stops: what it has not spent returns. */
  returnBudgets(holder: string): Promise<void>
  /** Resolves when all usage is safe. */
  close(): Promise<void>
}

const join = topic<void, Snapshot>('directory.join')
const changed = topic<Snapshot>('directory.changed')
const run = topic<Command, CommandResult>('directory.run', { timeoutMs: 30_000 })
const usage = topic<UsagePart>('usage.add', { afterExit: true })
/** Answered when the usage that was sent before has arrived. */
const usageSent = topic<void, null>('usage.sent', { timeoutMs: 5_000 })
/** Longer than a database takes to be found away. */
const renewBudgets = topic<SliceRequest, BudgetState[]>('budgets.renew', { timeoutMs: 15_000 })
const returnBudgets = topic<string, null>('budgets.return', { timeoutMs: 2_000 })
const awayChanged = topic<boolean>('directory.away')
const backlogChanged = topic<UsageBacklog>('usage.backlog')

/** Of a router that is one process. */
export function ownDirectory(host: DirectoryHost): Directory {
  return {
    snapshot: () => host.snapshot,
    onChange: (listener) => host.onChange(listener),
    run: (name, input, actor) => outcome<typeof name>(() => host.run({ name, input, actor })),
    addUsage: (part) => host.usage.add(part),
    isAway: () => !host.isReachable,
    usageBacklog: () => host.usage.backlog,
    renewBudgets: (request) => host.renewBudgets(request),
    returnBudgets: (holder) => host.returnBudgets(holder),
    close: () => host.close(),
  }
}

/** Of a worker, whose primary owns the connection. */
export async function clusterDirectory(primary: Channel): Promise<Directory> {
  const listeners: ((snapshot: Snapshot) => void)[] = []
  let snapshot: Snapshot | undefined
  primary.on(changed, (next) => {
    snapshot = next
    for (const listener of listeners) listener(next)
  })
  let backlog: UsageBacklog = { rows: 0, spoolBytes: 0, spoolError: undefined }
  primary.on(backlogChanged, (next) => {
    backlog = next
  })
  let isAway = false
  primary.on(awayChanged, (next) => {
    isAway = next
  })
  const first = await primary.request(join)
  return {
    snapshot: () => snapshot ?? first,
    onChange: (listener) => {
      listeners.push(listener)
    },
    run: (name, input, actor) =>
      outcome<typeof name>(
        async () => (await primary.request(run, { name, input, actor })) as CommandResult<typeof name>,
      ),
    addUsage: (part) => void primary.cast(usage, part),
    isAway: () => isAway,
    usageBacklog: () => backlog,
    renewBudgets: (request) => primary.request(renewBudgets, request),
    returnBudgets: async (holder) => void (await primary.request(returnBudgets, holder)),
    close: async () => void (await primary.request(usageSent).catch(() => null)),
  }
}

/** The primary's side. Workers that start wait until the database is open. */
export function serveDirectory(workers: WorkerChannels, opened: Promise<DirectoryHost>): void {
  workers.on(join, async (_nothing, worker) => {
    const host = await opened
    worker.cast(awayChanged, !host.isReachable)
    return host.snapshot
  })
  workers.on(run, async (command) => (await opened).run(command))
  workers.on(usage, (part) => void opened.then((host) => host.usage.add(part)))
  workers.on(usageSent, () => null)
  workers.on(renewBudgets, async (request) => (await opened).renewBudgets(request))
  workers.on(returnBudgets, async (holder) => {
    await (await opened).returnBudgets(holder)
    return null
  })
  void opened.then((host) => {
    host.onChange((snapshot) => workers.broadcast(changed, snapshot))
    host.onReachable((isReachable) => workers.broadcast(awayChanged, !isReachable))
    host.onBacklog((backlog) => workers.broadcast(backlogChanged, backlog))
  })
}

async function outcome<Name extends CommandName>(
  ask: () => Promise<CommandResult<Name>>,
): Promise<Commands[Name]['out']> {
  const result = await ask().catch((cause: unknown) => {
    const causeCode = cause instanceof ChannelError ? cause.reason : Object(cause).code
    throw new RouterError('overloaded', 'The database is not available', {
      code: 'database_unavailable',
      retryAfterSeconds: 5,
      cause,
      ...(typeof causeCode === 'string' ? { causeCode } : {}),
    })
  })
  if (result.error) {
    const { kind, message, ...details } = result.error
    throw new RouterError(kind, message, details)
  }
  return result.ok
}
