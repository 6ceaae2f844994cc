import { setTimeout as pause } from 'node:timers/promises'
import { ask } from './ask.ts'
import { newMarker, type Poison } from './marker.ts'

export interface PoisonClient {
  url: string
  key: string
  /** Which kinds of poison each model gets. */
  menu: ReadonlyMap<string, readonly Poison[]>
  timeoutMs: number
  random: () => number
  nextNumber: () => number
  /** Whether the servers of a model are all up, so that one more may be killed. */
  mayKill: (model: string) => boolean
  outcomes: Record<string, number>
}

/** Sends poison until `untilMs`. Responses are counted but not checked, except that they end. */
export async function runPoisonClient(
  client: PoisonClient,
  untilMs: number,
  onHung: (text: string) => void,
): Promise<void> {
  const { menu, random, outcomes, key, timeoutMs } = client
  const models = [...menu.keys()]
  while (performance.now() < untilMs) {
    const model = models[Math.floor(random() * models.length)] ?? ''
    const kinds = menu.get(model) ?? []
    const kind = kinds[Math.floor(random() * kinds.length)]
    if (kind !== undefined && (kind !== 'kill' || client.mayKill(model))) {
      const marker = newMarker(kind, client.nextNumber())
      // Some repeat themselves to the byte, as retrying clients do; an agent's body differs each time.
      for (let times = random() < 0.2 ? 3 : 1; times > 0; times--) {
        const messages = [{ role: 'user', content: marker.text }]
        const body = { model, messages, stream: random() < 0.5, max_tokens: 50 }
        const seen = await ask({ url: `${client.url}/v1/chat/completions`, body, key, timeoutMs })
        const outcome = `${kind}: ${seen.broken ?? seen.status}`
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
        if (seen.broken === 'timeout') onHung(`${model}, ${marker.text}: no end of the answer`)
        if (kind === 'kill') break
      }
    }
    await pause(50 + random() * 200)
  }
}
