import type {
  Changes,
  ModelDelta,
  ModelStatus,
  Status,
  StatusDelta,
  TargetDelta,
  TargetStatus,
  WorkerStatus,
} from '../../sdk/console/status.ts'

/** Maximum number of targets per delta, which bounds the cost of an update of a large fleet. */
const maxTargets = 64

/** Resident memory varies constantly; only changes of at least this many bytes are sent. */
const memoryStep = 16 * 1_048_576

interface KnownModel {
  model: Record<string, string>
  targets: Map<string, { members: Record<string, string>; state: string; sentAt: number }>
}

interface Changed {
  model: ModelDelta
  target: TargetDelta
  known: KnownModel
  members: Record<string, string>
  /** For a new target or a changed state. */
  isUrgent: boolean
  sentAt: number
}

/**
 * Returns each status as the difference to what was sent before. Changes of states are sent first, others as long as there
 * is room, the oldest first. Uptimes are never a change, because listeners know when each process started.
 */
export class StatusDeltas {
  #status: Record<string, string> = {}
  readonly #models = new Map<string, KnownModel>()
  /** Resident memory that was sent, by process id. */
  #memory = new Map<number, number>()
  #count = 0
  #whole: Status | undefined

  /** The state known to all listeners; undefined at first. */
  get whole(): Status | undefined {
    return this.#whole
  }

  /** Undefined if nothing has changed. The first call only records the state. */
  next(status: Status): StatusDelta | undefined {
    this.#count++
    const isFirst = this.#whole === undefined
    const delta = this.#deltaTo(status, isFirst)
    this.#whole = isFirst ? status : withUptimes(applied(this.#whole ?? status, delta), status)
    const isEmpty = Object.keys(delta.status).length === 0 && delta.models.length === 0 && !delta.removed
    return isFirst || isEmpty ? undefined : delta
  }

  #deltaTo({ models, uptime_seconds: _uptime, ...status }: Status, isFirst: boolean): StatusDelta {
    const rest = { ...status, workers: status.workers.map((row) => this.#withSentMemory(row)) }
    this.#memory = new Map(rest.workers.map(({ pid, memory_bytes }) => [pid, memory_bytes]))
    const top = textsOf({ ...rest, workers: rest.workers.map(({ uptime_seconds: _up, ...row }) => row) })
    const changes = changesOf(rest, top, this.#status)
    this.#status = top
    const changed: Changed[] = []
    const deltas = new Set<ModelDelta>()
    for (const model of models) this.#compare(model, changed, deltas)
    const names = new Set(models.map(({ name }) => name))
    const removed = [...this.#models.keys()].filter((name) => !names.has(name))
    for (const name of removed) this.#models.delete(name)
    const sent = isFirst ? changed : mostUrgent(changed)
    for (const { model, target, known, members } of sent) {
      model.targets ??= []
      model.targets.push(target)
      deltas.add(model)
      known.targets.set(target.id, { members, state: members.state ?? '', sentAt: this.#count })
    }
    return {
      at: new Date().toISOString(),
      status: changes,
      models: [...deltas],
      ...(removed.length > 0 ? { removed } : {}),
    }
  }

  #withSentMemory(row: WorkerStatus): WorkerStatus {
    const sent = this.#memory.get(row.pid)
    const isSmall = sent !== undefined && Math.abs(row.memory_bytes - sent) < memoryStep
    return isSmall ? { ...row, memory_bytes: sent } : row
  }

  #compare({ targets, ...rest }: ModelStatus, changed: Changed[], deltas: Set<ModelDelta>): void {
    const before = this.#models.get(rest.name)
    const known: KnownModel = before ?? { model: {}, targets: new Map() }
    this.#models.set(rest.name, known)
    const texts = textsOf(rest)
    const changes = changesOf(rest, texts, known.model)
    const model: ModelDelta = { ...changes, name: rest.name }
    if (!before || Object.keys(changes).length > 0) deltas.add(model)
    known.model = texts
    for (const target of targets) {
      const sent = known.targets.get(target.id)
      const members = textsOf(target)
      const differences = changesOf(target, members, sent?.members ?? {})
      if (Object.keys(differences).length === 0) continue
      const isUrgent = sent?.state !== members.state
      const sentAt = sent?.sentAt ?? 0
      changed.push({ model, target: { ...differences, id: target.id }, known, members, isUrgent, sentAt })
    }
    const ids = new Set(targets.map(({ id }) => id))
    const removed = [...known.targets.keys()].filter((id) => !ids.has(id))
    for (const id of removed) known.targets.delete(id)
    if (removed.length === 0) return
    model.removed = removed
    deltas.add(model)
  }
}

function withUptimes(whole: Status, { uptime_seconds, workers }: Status): Status {
  const uptimes = new Map(workers.map((row) => [row.pid, row.uptime_seconds]))
  return {
    ...whole,
    uptime_seconds,
    workers: whole.workers.map((row) => ({
      ...row,
      uptime_seconds: uptimes.get(row.pid) ?? row.uptime_seconds,
    })),
  }
}

function mostUrgent(changed: readonly Changed[]): readonly Changed[] {
  if (changed.length <= maxTargets) return changed
  return changed
    .toSorted((a, b) => Number(b.isUrgent) - Number(a.isUrgent) || a.sentAt - b.sentAt)
    .slice(0, maxTargets)
}

function textsOf(whole: object): Record<string, string> {
  const texts: Record<string, string> = {}
  for (const [name, value] of Object.entries(whole))
    texts[name] = typeof value === 'object' ? JSON.stringify(value) : String(value)
  return texts
}

function changesOf<Whole extends object>(
  whole: Whole,
  now: Record<string, string>,
  before: Record<string, string>,
): Changes<Whole> {
  const changes: Changes<Whole> = {}
  for (const name in whole) if (now[name] !== before[name]) Object.assign(changes, { [name]: whole[name] })
  const unset = Object.keys(before).filter((name) => !(name in now))
  if (unset.length > 0) Object.assign(changes, { unset })
  return changes
}

/** The status of a listener that received all deltas. */
export function applied(status: Status, delta: StatusDelta): Status {
  const removed = new Set(delta.removed)
  const models = new Map(status.models.map((model) => [model.name, model]))
  for (const change of delta.models) models.set(change.name, appliedModel(models.get(change.name), change))
  return {
    ...merged(status, delta.status),
    models: [...models.values()].filter(({ name }) => !removed.has(name)),
  }
}

function appliedModel(model: ModelStatus | undefined, change: ModelDelta): ModelStatus {
  const { targets: changed = [], removed = [], ...rest } = change
  const targets = new Map((model?.targets ?? []).map((target) => [target.id, target]))
  for (const target of changed)
    targets.set(target.id, merged(targets.get(target.id) ?? ({} as TargetStatus), target)) // a new one is whole
  for (const id of removed) targets.delete(id)
  return { ...merged(model ?? ({} as ModelStatus), rest), targets: [...targets.values()] } // a new one is whole
}

function merged<Whole extends object>(whole: Whole, { unset = [], ...changes }: Changes<Whole>): Whole {
  const result: Whole = { ...whole, ...changes }
  for (const name of unset) Reflect.deleteProperty(result, name)
  return result
}
