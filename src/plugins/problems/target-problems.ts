import type { Problem } from '../../sdk/console/problems.ts'
import type { ModelStatus, TargetStatus } from '../../sdk/console/status.ts'

/** A problem before it is merged over models and given a start time. */
export type Finding = Omit<Problem, 'id' | 'since' | 'subject'>

/** Problems of targets; a server with several models is reported once. */
export function targetProblems(models: readonly ModelStatus[]): Problem[] {
  const found = models.flatMap((model) =>
    model.targets.flatMap((target) =>
      findingsOf(target).map((finding) => ({ finding, target, model: model.name })),
    ),
  )
  const groups = Map.groupBy(found, ({ target, finding }) => `target:${target.id}:${finding.code}`)
  return Array.from(groups, ([id, [first, ...others]]) => {
    if (!first) throw new Error('an empty group')
    const all = [first, ...others]
    return {
      id,
      ...first.finding,
      subject: {
        type: 'target',
        name: first.target.id,
        models: [...new Set(all.map(({ model }) => model))],
      },
      since: all.map(({ target }) => target.since).sort()[0] ?? null,
    }
  })
}

function findingsOf(target: TargetStatus): Finding[] {
  const state = stateFinding(target)
  const features = target.ejected_for ?? []
  return [
    ...(state ? [state] : []),
    ...(features.length === 0
      ? []
      : [
          {
            severity: 'warning',
            code: 'ejected_for_feature',
            text: `${target.id} fails requests with ${features.join(', ')}`,
            action: 'Other servers answer these requests; check whether its model and engine support them',
          } as const,
        ]),
  ]
}

function stateFinding(target: TargetStatus): Finding | undefined {
  const { id } = target
  switch (target.state) {
    case 'misconfigured':
      return misconfigured(target)
    case 'down':
      return down(target)
    case 'open':
      return {
        severity: 'error',
        code: 'ejected',
        text: `${id} is ejected after failures${failuresOf(target)}`,
        action: `It is tried again ${inSeconds(target.retry_in_seconds)}; check its log, and reset it once the cause is fixed`,
      }
    case 'hung':
      return {
        severity: 'error',
        code: 'hung',
        text: `${id} accepts requests but does not start to respond`,
        action: 'Check the log of its engine; restart the engine if it hangs',
      }
    case 'busy':
      return {
        severity: 'warning',
        code: 'rate_limited',
        text: `${id} asks for a pause (429)`,
        action: `It is used again ${inSeconds(target.retry_in_seconds)}; lower its max_in_flight or raise its limit`,
      }
    case 'loading':
      return {
        severity: 'info',
        code: 'loading',
        text: `${id} is loading its model`,
        action: 'It gets requests as soon as it has finished',
      }
    case 'asleep':
      return {
        severity: 'info',
        code: 'asleep',
        text: `${id} is asleep`,
        action: 'A request wakes it if no other server can answer',
      }
    case 'drained':
      return {
        severity: 'info',
        code: 'drained',
        text: `${id} is drained by an operator`,
        action: 'Resume it after the maintenance',
      }
    default:
      return undefined
  }
}

const misconfigurations: Readonly<Record<string, { text: string; action: string }>> = {
  401: { text: "rejects the router's key (401)", action: 'Check api_token of this provider' },
  402: { text: 'has no credit left (402)', action: 'Top up the account of this provider' },
  403: {
    text: "denies access with the router's key (403)",
    action: 'Check the permissions of its api_token',
  },
  404: { text: 'does not know the model (404)', action: 'Check model_path of this provider' },
}

function misconfigured({ id, reason = '' }: TargetStatus): Finding {
  const status = /^HTTP (\d+)/.exec(reason)?.[1] ?? ''
  const { text, action } = misconfigurations[status] ?? {
    text: `rejects the router's requests (${status})`,
    action: 'Check this provider in models-config.json',
  }
  return { severity: 'error', code: 'misconfigured', text: `${id} ${text}`, action }
}

const downs: Readonly<Record<NonNullable<TargetStatus['down']>, { text: string; action: string }>> = {
  refused: {
    text: 'refuses connections',
    action: 'Check that the server runs and listens at the host and port of api_host',
  },
  silent: {
    text: 'does not answer its health checks',
    action: 'Check the host and the network to it; its process may hang',
  },
  failing: { text: 'fails its health checks', action: 'Check the log of the server' },
}

function down({ id, down: why = 'failing' }: TargetStatus): Finding {
  const { text, action } = downs[why]
  return { severity: 'error', code: 'down', text: `${id} ${text}`, action }
}

/** `: 3 of 4 requests of the last minute, the last one "answered 503"`. */
function failuresOf({
  requests_per_minute: ended,
  failed_per_minute: failed,
  last_errors: errors,
}: TargetStatus) {
  const count = failed === 0 ? '' : `: ${failed} of ${ended} in the last minute`
  const [last] = errors
  return last ? `${count === '' ? ':' : `${count},`} the last time it ${last.text}` : count
}

function inSeconds(seconds: number): string {
  return seconds < 1 ? 'now' : `in ${Math.ceil(seconds)} s`
}
