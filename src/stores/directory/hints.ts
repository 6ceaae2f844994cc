import type { RedisLink, ScriptLink } from '../redis/client.ts'
import { directoryChannel } from '../redis/keys.ts'

/** Announces changes to other hosts immediately; otherwise they notice within a second. */
export interface ChangeHints {
  announce(): void
  /** Calls `listener` when any host, including this one, has announced a change. */
  onHint(listener: () => void): void
  close(): void
}

export const noHints: ChangeHints = {
  announce: () => undefined,
  onHint: () => undefined,
  close: () => undefined,
}

/** Uses publish and subscribe in Redis. A message may be dropped: the next poll of the database finds the change. */
export function redisHints(link: ScriptLink<never> & Pick<RedisLink, 'subscriber'>): ChangeHints {
  const { commands, subscriber } = link
  commands.on('error', () => undefined)
  subscriber.on('error', () => undefined)
  subscriber.on('ready', () => {
    subscriber.subscribe(directoryChannel).catch(() => undefined)
  })
  return {
    announce: () => void commands.publish(directoryChannel, '').catch(() => undefined),
    onHint: (listener) => void subscriber.on('message', listener),
    close: () => link.close(),
  }
}
