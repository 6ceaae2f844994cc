import { type Channel, ChannelError, topic } from '../../lib/channel.ts'
import type { WorkerChannels } from '../../lib/worker-channels.ts'
import { RouterError } from '../../sdk/errors.ts'
import type { Actor, Snapshot } from '../../sdk/teams/directory.ts'
import type { BudgetState, SliceRequest } from '../budgets/slices.ts'
import type { UsagePart } from '../usage/sums.ts'
import type { UsageBacklog } from '../usage/writer.ts'
import type { Command, CommandName, CommandResult, Commands } from './commands.ts'
import type { DirectoryHost } from './host.ts'

/** The database, as seen by a process that serves clients. */
export interface Directory {
  /** Returns the current clients, groups, keys, prices and budgets. */
  snapshot(): Snapshot
  onChange(listener: (snapshot: Snapshot) => void): void
  /** Runs a command. Throws RouterError for an error of the operator, or if the database is unavailable. */
  run<Name extends CommandName>(
    name: Name,
    input: Commands[Name]['in'],
    actor: Actor,
  ): Promise<Commands[Name]['out']>
  /** Adds usage, which is written in the background. */
  addUsage(part: UsagePart): void
  /** Whether the last query of the database failed. */
  isDown(): boolean
  /** Returns the amount of usage that is not in the database yet. */
  usageBacklog(): UsageBacklog
  /** Records usage that was added before, then renews the slices of this process. Rejects while the database is unavailable. */
  renewBudgets(request: SliceRequest): Promise<BudgetState[]>
  /** Releases the slices of a stopping process. */
  returnBudgets(holder: string): Promise<void>
  /** Resolves when all usage is in the database or on disk. */
  close(): Promise<void>
}

const join = topic<void, Snapshot>('directory.join')
const changed = topic<Snapshot>('directory.changed')
const run = topic<Command, CommandResult>('directory.run', { timeoutMs: 30_000 })
const usage = topic<UsagePart>('usage.add', { afterExit: true })
/** From a worker: acknowledged when all usage sent before has arrived. */
const usageSent = topic<void, null>('usage.sent', { timeoutMs: 5_000 })
/** The timeout is longer than those of the database. */
const renewBudgets = topic<SliceRequest, BudgetState[]>('budgets.renew', { timeoutMs: 15_000 })
const returnBudgets = topic<string, null>('budgets.return', { timeoutMs: 2_000 })
const downChanged = topic<boolean>('directory.down')
const backlogChanged = topic<UsageBacklog>('usage.backlog')

/** The directory of a single-process router. */
export function localDirectory(host: DirectoryHost): Directory {
  return {
    snapshot: () => host.snapshot,
    onChange: (listener) => host.onChange(listener),
    run: (name, input, actor) => resultOf<typeof name>(() => host.run({ name, input, actor })),
    addUsage: (part) => host.usage.add(part),
    isDown: () => !host.isReachable,
    usageBacklog: () => host.usage.backlog,
    renewBudgets: (request) => host.renewBudgets(request),
    returnBudgets: (holder) => host.returnBudgets(holder),
    close: () => host.close(),
  }
}

/** The directory of a worker, whose primary owns the connection. */
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
  let isDown = false
  primary.on(downChanged, (next) => {
    isDown = next
  })
  const initial = await primary.request(join)
  return {
    snapshot: () => snapshot ?? initial,
    onChange: (listener) => {
      listeners.push(listener)
    },
    run: (name, input, actor) =>
      resultOf<typeof name>(
        async () => (await primary.request(run, { name, input, actor })) as CommandResult<typeof name>,
      ),
    addUsage: (part) => void primary.cast(usage, part),
    isDown: () => isDown,
    usageBacklog: () => backlog,
    renewBudgets: (request) => primary.request(renewBudgets, request),
    returnBudgets: async (holder) => void (await primary.request(returnBudgets, holder)),
    close: async () => void (await primary.request(usageSent).catch(() => null)),
  }
}

/** The primary's side. Starting workers wait until the database is open. */
export function serveDirectory(workers: WorkerChannels, opened: Promise<DirectoryHost>): void {
  workers.on(join, async (_nothing, worker) => {
    const host = await opened
    worker.cast(downChanged, !host.isReachable)
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
    host.onReachable((isReachable) => workers.broadcast(downChanged, !isReachable))
    host.onBacklog((backlog) => workers.broadcast(backlogChanged, backlog))
  })
}

async function resultOf<Name extends CommandName>(
  run: () => Promise<CommandResult<Name>>,
): Promise<Commands[Name]['out']> {
  const result = await run().catch((cause: unknown) => {
    const causeCode = cause instanceof ChannelError ? cause.reason : Object(cause).code
    throw new RouterError('overloaded', 'The database is unavailable', {
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
