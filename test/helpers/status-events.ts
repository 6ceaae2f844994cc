import type { Status, TargetStatus } from '../../src/sdk/console/status.ts'

/** The first status of a router, current or in its events, for which this is true. */
export async function statusWhen(url: string, wanted: (status: Status) => boolean): Promise<Status> {
  const response = await fetch(`${url}/api/status/events`)
  let text = ''
  for await (const piece of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += piece
    const events = text.split('\n\n')
    text = events.pop() ?? ''
    for (const event of events) {
      const data = /^data: (.*)$/m.exec(event)?.[1]
      const status: Status | undefined = data === undefined ? undefined : JSON.parse(data)
      // Leaving the loop cancels the stream.
      if (status && wanted(status)) return status
    }
  }
  throw new Error('the events ended')
}

export function targetIn({ models }: Status, id: string): TargetStatus | undefined {
  return models.flatMap(({ targets }) => targets).find((target) => target.id === id)
}

/** The status of a target's engine, as soon as this is true for it. */
export async function engineOf(
  url: string,
  id: string,
  wanted: (engine: TargetStatus['engine']) => boolean = (engine) => engine !== undefined,
): Promise<TargetStatus['engine']> {
  const status = await statusWhen(url, (each) => wanted(targetIn(each, id)?.engine))
  return targetIn(status, id)?.engine
}
