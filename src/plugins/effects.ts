import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { isLoaded } from '../fleet/signals/engine-facts.ts'
import { acceptsCommands } from '../relay/upstream/engine-command.ts'
import type { Effect, EffectAction } from '../sdk/console/effects.ts'
import type { ModelStatus, Status, TargetStatus } from '../sdk/console/status.ts'
import { allTargets, type Target } from '../sdk/target.ts'

declare module 'fastify' {
  interface FastifyInstance {
    effects: {
      /** The effect of an action on a target now; undefined if there is no such target. */
      ofTarget(action: 'drain' | 'resume' | 'reset', target: string): Promise<Effect | undefined>
      /** The effect of loading or unloading a model now; undefined if there is no such model. */
      ofModel(action: 'load' | 'unload', model: string): Promise<Effect | undefined>
    }
  }
}

/** Predicts the effects of actions on targets and models, for their confirmation dialogs. */
export default fp(
  (app, _options, done) => {
    app.decorate('effects', {
      async ofTarget(action, target) {
        const names = new Set(app.overrides.modelsWith(target).map(({ alias }) => alias))
        if (names.size === 0) return undefined
        const models = modelsIn(await app.status.readAll(), names)
        return targetEffect(action, target, models)
      },
      async ofModel(action, name) {
        const model = app.models.find(name)
        if (!model) return undefined
        const [status] = modelsIn(await app.status.readAll(), new Set([model.alias]))
        const all = action === 'load' ? model.targets : allTargets(model)
        return status && modelEffect(app, action, status, all)
      },
    })
    done()
  },
  { name: 'effects', dependencies: ['status', 'overrides', 'models', 'engines'] },
)

function modelsIn({ models }: Status, names: ReadonlySet<string>): ModelStatus[] {
  return models.filter(({ name }) => names.has(name))
}

function isUsable({ state }: TargetStatus): boolean {
  return state === 'up' || state === 'trial' || state === 'busy'
}

function targetEffect(
  action: 'drain' | 'resume' | 'reset',
  id: string,
  statuses: readonly ModelStatus[],
): Effect {
  const own = statuses.flatMap(({ targets }) => targets.filter((target) => target.id === id))
  const inFlight = sum(own.map(({ in_flight }) => in_flight))
  const models = statuses.map(({ name, targets, waiting }) => {
    const usable = targets.filter(isUsable)
    const others = usable.filter((target) => target.id !== id).length
    const after = {
      drain: others,
      resume: others + 1,
      reset: others + (targets.some((target) => target.id === id && mayReturn(target)) ? 1 : 0),
    }
    return { name, usable_targets: usable.length, usable_after: after[action], waiting }
  })
  const isLast = models.some(({ usable_targets: now, usable_after: then }) => now > 0 && then === 0)
  return {
    action,
    target: id,
    in_flight: inFlight,
    models,
    needs_force: action === 'drain' && isLast,
    text: targetText(action, id, inFlight, models),
    waiting: sum(models.map(({ waiting }) => waiting)),
    targets: [{ id, in_flight: inFlight, supported: true, loaded: null }],
  }
}

/** Whether resetting its failures makes it usable, which it does not if it is down or drained. */
function mayReturn({ state }: TargetStatus): boolean {
  return !['down', 'drained', 'loading', 'asleep', 'standby'].includes(state)
}

function targetText(
  action: 'drain' | 'resume' | 'reset',
  id: string,
  inFlight: number,
  models: Effect['models'],
): string {
  if (action === 'resume') return `${id} gets requests again.`
  if (action === 'reset')
    return `Clears the failures, ejection and measured times of ${id}. It gets requests as if it had never failed; running requests continue.`
  const running =
    inFlight === 0
      ? `${id} gets no new requests; none is running.`
      : `${id} finishes ${counted(inFlight, 'running request')} and gets no new ones.`
  const left = models.map(({ name, usable_targets: now, usable_after: then }) => {
    if (then > 0) return `${name} has ${counted(then, 'other usable server')}.`
    return now > 0
      ? `It is the last usable server of ${name}: all requests for it will fail or wait.`
      : `${name} has no other usable server.`
  })
  return [running, ...left].join(' ')
}

function modelEffect(
  app: FastifyInstance,
  action: 'load' | 'unload',
  { name, targets: statuses, waiting }: ModelStatus,
  all: readonly Target[],
): Effect {
  const targets = all.map((target) => {
    const status = statuses.find(({ id }) => id === target.id)
    return {
      id: target.id,
      in_flight: status?.in_flight ?? 0,
      supported: acceptsCommands(target),
      loaded: isLoaded(target, app.engines.signalsOf(target)) ?? null,
    }
  })
  const usable = statuses.filter(isUsable).length
  return {
    action,
    model: name,
    needs_force: false,
    targets,
    waiting,
    in_flight: sum(targets.map(({ in_flight }) => in_flight)),
    models: [{ name, usable_targets: usable, usable_after: usable, waiting }],
    text: modelText(action, name, targets),
  }
}

function modelText(action: EffectAction, name: string, targets: Effect['targets']): string {
  const able = targets.filter(({ supported }) => supported)
  if (able.length === 0)
    return `No server of ${name} supports this. Ollama, LM Studio and llama.cpp in router mode do.`
  const { length: rest } = targets.filter(({ supported }) => !supported)
  const others =
    rest === 0
      ? ''
      : ` ${counted(rest, 'other server')} decide${rest === 1 ? 's' : ''} this without the router.`
  const names = able.map(({ id }) => id).join(', ')
  if (action === 'load')
    return `${names} load${able.length === 1 ? 's' : ''} ${name} into memory, which can take minutes and unload other models.${others}`
  const running = sum(able.map(({ in_flight }) => in_flight))
  const busy =
    running === 0 ? '' : ` ${counted(running, 'request')} ${running === 1 ? 'is' : 'are'} running there.`
  return `${names} unload${able.length === 1 ? 's' : ''} ${name}; the next request loads it again and waits for it.${busy}${others}`
}

function counted(count: number, words: string): string {
  return `${count} ${words}${count === 1 ? '' : 's'}`
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0)
}
