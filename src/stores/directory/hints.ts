import type { RedisLink, ScriptLink } from '../redis/client.ts'
import { directoryChannel } from '../redis/keys.ts'

/** Tells other hosts of a change at once; without it they notice within a second. */
export interface ChangeHints {
  tell(): void
  /** Called when another host, or this one, has announced a change. */
  onHint(listener: () => void): void
  close(): void
}

export const noHints: ChangeHints = { tell: () => undefined, onHint: () => undefined, close: () => undefined }

/** By publish and subscribe in Redis. Nothing depends on a message: what is lost is noticed with the next question. */
export function redisHints(link: ScriptLink<never> & Pick<RedisLink, 'subscriber'>): ChangeHints {
  const { commands, subscriber } = link
  commands.on('error', () => undefined)
  subscriber.on('error', () => undefined)
  subscriber.on('ready', () => {
    subscriber.subscribe(directoryChannel).catch(() => undefined)
  })
  return {
    tell: () => void commands.publish(directoryChannel, '').catch(() => undefined),
    onHint: (listener) => void subscriber.on('message', listener),
    close: () => link.close(),
  }
}
