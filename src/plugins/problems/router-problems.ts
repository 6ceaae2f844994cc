import { X509Certificate } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import type { Problem } from '../../sdk/console/problems.ts'
import type { UnknownModel } from '../../sdk/console/recent-requests.ts'
import type { Status } from '../../sdk/console/status.ts'
import { allTargets } from '../../sdk/target.ts'
import type { Connection } from '../../sdk/transport.ts'

type UndatedProblem = Omit<Problem, 'since'>

/** Problems of the router itself, as known to this process. */
export function routerProblems(app: FastifyInstance, shedRecently: boolean): Problem[] {
  const found: UndatedProblem[] = []
  const add = (severity: Problem['severity'], code: string, text: string, action: string): void =>
    void found.push({ id: `router:${code}`, severity, code, subject: { type: 'router' }, text, action })
  if (app.logError() !== undefined)
    add(
      'error',
      'log_file_failed',
      'The log file cannot be written; lines go to stdout only',
      'Check the disk and the permissions of LLM_ROUTER_LOG_FILENAME',
    )
  if (app.budgets.counts.isStoreDown) {
    const refuses = app.config.budgetStoreDown === 'refuse'
    add(
      refuses ? 'critical' : 'error',
      'budget_store_away',
      `Budgets cannot be checked because the database is unavailable; requests ${refuses ? 'are rejected' : 'continue unchecked'}`,
      'Restore the database of LLM_ROUTER_DATABASE_URL',
    )
  }
  if (app.overrides.isRedisAway()) {
    const rejects = app.config.redisDown === 'reject'
    add(
      rejects ? 'critical' : 'error',
      'redis_away',
      `Redis is unavailable: limits, queues and drained targets apply to this host only${
        rejects ? ', and requests for exclusive targets are rejected' : ''
      }`,
      'Restore the Redis of LLM_ROUTER_REDIS_URL or LLM_ROUTER_REDIS_HOST; the router reconnects by itself',
    )
  }
  const backlog = app.directory?.usageBacklog()
  const waiting = `${Math.ceil((backlog?.spoolBytes ?? 0) / 1024)} KB of usage are spooled to disk`
  if (app.directory?.isDown())
    add(
      'error',
      'database_away',
      `The database is unavailable: clients, keys and budgets stay as they were${
        backlog && backlog.spoolBytes > 0 ? `; ${waiting}` : ''
      }`,
      'Restore the database of LLM_ROUTER_DATABASE_URL; spooled usage is written then',
    )
  if (backlog?.spoolError !== undefined)
    add(
      'error',
      'usage_spool_failed',
      'Usage cannot be spooled to disk while the database is unavailable',
      'Check the disk and the permissions of LLM_ROUTER_USAGE_SPOOL',
    )
  else if (backlog && backlog.spoolBytes > 0 && !app.directory?.isDown())
    add(
      'warning',
      'usage_waits',
      `${waiting}: the database is available but does not accept it in time`,
      'Check what blocks or slows down its writes: a lock, a full disk, missing permissions',
    )
  if (shedRecently)
    add(
      'error',
      'overloaded',
      'A process of the router was overloaded and rejected requests within the last minute',
      'Give it more CPU or memory, or more workers (LLM_ROUTER_SERVER_WORKERS_COUNT)',
    )
  if (app.drain.active)
    add(
      'info',
      'draining',
      'This router is shutting down',
      'It finishes running requests and accepts no new ones',
    )
  return [...found.map((finding) => ({ ...finding, since: null })), ...rejectedReloads(app)]
}

function rejectedReloads(app: FastifyInstance): Problem[] {
  return Array.from(app.reload.failures(), ([setting, { at, errors }]) => ({
    id: `router:reload_failed:${setting}`,
    severity: 'error',
    code: 'reload_failed',
    subject: { type: 'router', name: setting },
    text: `The last change of ${setting} was rejected for ${errors.length === 1 ? 'an error' : `${errors.length} errors`}; the previous configuration is in use`,
    action:
      'Fix the errors listed in the settings, with line and column; the file is reloaded when it changes',
    since: at.toISOString(),
  }))
}

/** Problems visible only in the sum over all processes. */
export function workerProblems({ workers }: Status): Problem[] {
  return workers
    .filter(({ state }) => state === 'silent')
    .map(({ worker }) => ({
      id: `router:worker_silent:${worker}`,
      severity: 'error',
      code: 'worker_silent',
      subject: { type: 'router', name: `worker ${worker}` },
      text: `Worker ${worker} does not respond: it is busy or hangs`,
      action: 'If this persists, check its log and stop its process; it is restarted',
      since: null,
    }))
}

/** How long after the last request an unknown model is reported, in milliseconds. */
const unknownMs = 15 * 60_000

export function unknownModelProblems(models: readonly UnknownModel[]): Problem[] {
  const after = new Date(Date.now() - unknownMs).toISOString()
  return models
    .filter(({ last }) => last >= after)
    .map(({ name, count, first, clients, exists, did_you_mean: nearest }) => {
      const who = clients.length === 0 ? '' : ` by ${clients.join(', ')}`
      const times = count === 1 ? 'once' : `${count} times`
      return {
        id: `model:${name}:unknown_model`,
        severity: exists ? 'info' : 'warning',
        code: 'unknown_model',
        subject: { type: 'model', name },
        text: exists
          ? `${name} was requested ${times}${who}, whose key does not allow it`
          : `${name} was requested ${times}${who}, but there is no such model`,
        action: exists
          ? 'Allow the client to use the model, or tell its users'
          : `Add it to the models, or as an alias${nearest === undefined ? '' : ` of ${nearest}`}, or correct the client`,
        since: first,
      }
    })
}

const dayMs = 86_400_000
/** Days before expiry from which a certificate is reported. */
const warnDays = 14

/** Client certificates by expiry. Each is read once. */
export function certificateEnds(): (app: FastifyInstance) => Problem[] {
  const ends = new WeakMap<Connection, number>()
  const endOf = (connection: Connection, pem: string): number => {
    const known = ends.get(connection)
    if (known !== undefined) return known
    const end = new X509Certificate(pem).validToDate.getTime()
    ends.set(connection, end)
    return end
  }
  return (app) => {
    const targets = app.models.all().flatMap((model) => allTargets(model))
    const found = new Map<string, Problem>()
    for (const { id, connection, model } of targets) {
      if (connection?.clientCert === undefined) continue
      const end = endOf(connection, connection.clientCert)
      const days = Math.floor((end - Date.now()) / dayMs)
      if (days >= warnDays) continue
      found.set(id, {
        id: `target:${id}:certificate_expires`,
        severity: days < 0 ? 'error' : 'warning',
        code: 'certificate_expires',
        subject: { type: 'target', name: id, models: [model] },
        text:
          days < 0
            ? `The client certificate for ${id} has expired`
            : `The client certificate for ${id} expires ${days === 0 ? 'within a day' : `in ${days} days`}`,
        action: 'Renew client_cert_file of this provider; it is reloaded when it changes',
        since: days < 0 ? new Date(end).toISOString() : null,
      })
    }
    return [...found.values()]
  }
}
