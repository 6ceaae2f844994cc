import type { CallTrace } from '../../sdk/trace.ts'
import type { AnswerStream } from '../attempt/open-attempt.ts'

/** The same stream, whose trace gets to see what the upstream sends, where it wants to. */
export function tracedStream<Stream extends AnswerStream | undefined>(
  stream: Stream,
  trace: CallTrace | undefined,
): Stream {
  if (!stream || !trace?.received) return stream
  const { lane } = stream
  return {
    ...stream,
    lane: {
      state: lane.state,
      push(chunk) {
        trace.received?.(chunk)
        return lane.push(chunk)
      },
      end: (isComplete) => lane.end(isComplete),
      ...(lane.endTorn && { endTorn: () => lane.endTorn?.() ?? '' }),
      writeError: (error) => lane.writeError?.(error),
    },
  }
}
