import type { Problem } from '../../sdk/console/problems.ts'
import type { ModelStatus, TargetStatus } from '../../sdk/console/status.ts'
import type { Finding } from './target-problems.ts'

/** `queueSize`: maximum number of waiting requests of a model in all processes together. */
export function modelProblems(models: readonly ModelStatus[], queueSize: number): Problem[] {
  return models.flatMap((model) =>
    findingsOf(model, queueSize).map((finding) => ({
      id: `model:${model.name}:${finding.code}`,
      ...finding,
      subject: { type: 'model', name: model.name },
      since: null,
    })),
  )
}

function findingsOf(model: ModelStatus, queueSize: number): Finding[] {
  const usable = model.targets.filter(isUsable)
  const found = usable.length === 0 ? unusable(model) : waiting(model, usable, queueSize)
  const findings = found ? [found] : []
  const { name, refused_per_minute: refused } = model
  if (refused > 0)
    findings.push({
      severity: 'error',
      code: 'refusing',
      text: `${counted(refused, 'request')} for ${name} ${refused === 1 ? 'was' : 'were'} rejected in the last minute`,
      action:
        usable.length === 0
          ? 'Bring a server of the model back: none is usable'
          : 'No server had capacity: add servers or slots (max_in_flight), or raise LLM_ROUTER_QUEUE_SIZE',
    })
  return findings
}

/** A misconfigured target is tried last, so a request may fail at it. */
function isUsable({ state }: TargetStatus): boolean {
  return state === 'up' || state === 'trial'
}

const stateWords: Partial<Record<TargetStatus['state'], string>> = {
  open: 'is ejected',
  down: 'is down',
  busy: 'asks for a pause',
  hung: 'hangs',
  loading: 'is loading',
  asleep: 'is asleep',
  drained: 'is drained',
  standby: 'is a standby and not in use',
  misconfigured: 'is misconfigured',
}

/** Maximum number of server names in a text. */
const maxNamed = 4

function unusable({ name, targets, panic, waiting }: ModelStatus): Finding {
  if (panic)
    return {
      severity: 'critical',
      code: 'panic',
      text: `All servers of ${name} fail their health checks; those whose checks only time out are used anyway`,
      action: 'Check the network between the router and the servers',
    }
  const served = targets.filter(({ state }) => state !== 'standby')
  const isReturning =
    served.length > 0 && served.some(({ state }) => state === 'loading' || state === 'asleep')
  const names = served
    .slice(0, maxNamed)
    .map(({ id, state }) => `${id} ${stateWords[state] ?? `is ${state}`}`)
  const rest = served.length > maxNamed ? `, and ${served.length - maxNamed} more` : ''
  const held = waiting > 0 ? `; ${counted(waiting, 'request')} ${waiting === 1 ? 'waits' : 'wait'}` : ''
  return {
    severity: isReturning ? 'error' : 'critical',
    code: 'no_usable_target',
    text:
      served.length === 0
        ? `${name} has no servers`
        : `No server of ${name} is usable: ${names.join(', ')}${rest}${held}`,
    action:
      served.length === 0
        ? 'Add a provider to the model in models-config.json'
        : isReturning
          ? 'Wait until a server has loaded it'
          : 'Bring one of them back, or add another provider or a fallback model',
  }
}

function waiting(
  { name, waiting }: ModelStatus,
  usable: readonly TargetStatus[],
  queueSize: number,
): Finding | undefined {
  if (waiting === 0) return undefined
  const places = usable.reduce((sum, target) => sum + (target.places ?? 0), 0)
  const wait = waiting === 1 ? 'waits' : 'wait'
  const at = `${counted(usable.length, 'server')}${places > 0 ? ` with ${counted(places, 'slot')}` : ''}`
  if (waiting >= queueSize)
    return {
      severity: 'error',
      code: 'queue_full',
      text: `The queue of ${name} is full: ${counted(waiting, 'request')} ${wait} for ${at}`,
      action:
        'Further requests are rejected: add servers or slots (max_in_flight), or raise LLM_ROUTER_QUEUE_SIZE',
    }
  return {
    severity: 'warning',
    code: 'saturated',
    text: `${counted(waiting, 'request')} for ${name} ${wait} for ${at}`,
    action: 'Add servers or slots (max_in_flight) if this persists',
  }
}

function counted(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`
}
