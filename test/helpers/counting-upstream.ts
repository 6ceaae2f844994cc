import {
  openaiText,
  type RecordedRequest,
  type ScriptedUpstream,
  startUpstream,
} from './scripted-upstream.ts'

/** A server that counts concurrent requests. */
export interface CountingUpstream {
  readonly upstream: ScriptedUpstream
  readonly running: number
  readonly most: number
  /** From now on requests are answered, including those held. */
  open(): void
  /** Answers the oldest held request; if none is held, the next one to arrive. */
  answerOne(): void
}

/** Holds all requests until one of its methods answers them. `onRequest`: called when one has arrived. */
export async function startCounting(
  onRequest: (request: RecordedRequest) => void = () => undefined,
): Promise<CountingUpstream> {
  let [running, most, isOpen] = [0, 0, false]
  /** Requests to answer on arrival. */
  let due = 0
  const held: (() => void)[] = []
  const upstream = await startUpstream(async (request, index) => {
    running++
    most = Math.max(most, running)
    let isGone = false
    void upstream.requestClosed(index).then(() => {
      if (!isGone) running--
      isGone = true
    })
    onRequest(request)
    if (due > 0) due--
    else if (!isOpen) await new Promise<void>((resolve) => held.push(resolve))
    await new Promise((resolve) => setImmediate(resolve))
    if (!isGone) running--
    isGone = true
    return openaiText('Hi')
  })
  return {
    upstream,
    get running() {
      return running
    },
    get most() {
      return most
    },
    open() {
      isOpen = true
      for (const answer of held.splice(0)) answer()
    },
    answerOne() {
      const answer = held.shift()
      if (answer) answer()
      else due++
    },
  }
}
