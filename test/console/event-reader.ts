import assert from 'node:assert/strict'

export interface ConsoleEvent {
  name: string
  data: Record<string, unknown>
  bytes: number
}

export interface EventReader {
  readonly seen: readonly ConsoleEvent[]
  /** The next event of this name that satisfies the condition. */
  next(name: string, wanted?: (data: Record<string, unknown>) => boolean): Promise<ConsoleEvent>
  /** Resolves when the router ends the stream. */
  ended(): Promise<void>
  close(): void
}

/** The events of a router's console. */
export async function openEvents(
  url: string,
  { headers = {}, query = '' }: { headers?: Record<string, string>; query?: string } = {},
): Promise<EventReader> {
  const leaving = new AbortController()
  const response = await fetch(`${url}/api/events${query}`, { headers, signal: leaving.signal })
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8')
  const seen: ConsoleEvent[] = []
  let taken = 0
  let wake = (): void => undefined
  let isOver = false
  const reading = (async () => {
    let text = ''
    for await (const piece of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += piece
      const blocks = text.split('\n\n')
      text = blocks.pop() ?? ''
      for (const block of blocks) {
        const name = /^event: (.*)$/m.exec(block)?.[1]
        const data = /^data: (.*)$/m.exec(block)?.[1]
        if (name !== undefined && data !== undefined)
          seen.push({ name, data: JSON.parse(data), bytes: block.length })
      }
      wake()
    }
  })().catch(() => undefined)
  void reading.then(() => {
    isOver = true
    wake()
  })
  return {
    seen,
    async next(name, wanted = () => true) {
      for (;;) {
        while (taken < seen.length) {
          const event = seen[taken++]
          if (event?.name === name && wanted(event.data)) return event
        }
        assert.ok(!isOver, `the events ended before ${name}`)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
    ended: () => reading,
    close: () => leaving.abort(),
  }
}
