import { askChild } from '../../support/ask-child.ts'
import { otherCpu, startGenerator } from '../stage.ts'
import type { Heard, TokenJob } from './reader.ts'

export interface TokenReader {
  /** Opens streams, this many at a time, and waits for the first token of each before the next. */
  open(port: number, streams: number, pace: { atOnce: number; pauseMs: number }): Promise<void>
  listen(durationMs: number): Promise<Heard>
  close(): Promise<void>
  end(): void
}

/** The clients of streams, in a separate process. */
export async function startTokenReader(unpinned = false): Promise<TokenReader> {
  const child = await startGenerator(unpinned ? 'any' : otherCpu, 'tokens/reader.ts')
  const tell = <T>(job: TokenJob): Promise<T> => askChild<T>(child, job)
  return {
    open: (port, streams, pace) =>
      tell<void>({ do: 'open', port, request: streamRequest(), streams, ...pace }),
    listen: (durationMs) => tell<Heard>({ do: 'listen', durationMs }),
    close: () => tell<void>({ do: 'close' }),
    end: () => void child.kill('SIGKILL'),
  }
}

/** About 1 KB. */
function streamRequest(): string {
  const body = JSON.stringify({
    model: 'openaiStream',
    stream: true,
    messages: [
      { role: 'system', content: 'You are a helpful assistant.' },
      { role: 'user', content: 'x'.repeat(850) },
    ],
  })
  return [
    'POST /v1/chat/completions HTTP/1.1',
    'host: bench',
    'content-type: application/json',
    `content-length: ${body.length}`,
    '',
    body,
  ].join('\r\n')
}
