import type { ChatEvent, ChatResponse } from '../../sdk/chat.ts'

type Delta = Extract<
  ChatEvent,
  { type: 'text-delta' | 'reasoning-delta' | 'refusal-delta' | 'tool-call-delta' }
>

const replacement = '\ufffd'

/**
 * Makes the texts of a translated stream well-formed. Engines split text by tokens and may split a surrogate pair into two
 * escapes (`"\\ud83d"`, then `"\\ude00"`): the first half waits for the second. A half that stays alone becomes U+FFFD,
 * because clients in languages other than JavaScript cannot encode it.
 */
export class WellFormedTexts {
  /** Pending halves with the delta that they arrived in, by kind, choice and call. */
  readonly #halves = new Map<string, { half: string; delta: Delta }>()
  readonly #emit: (event: ChatEvent) => void

  constructor(emit: (event: ChatEvent) => void) {
    this.#emit = emit
  }

  add(event: ChatEvent): void {
    switch (event.type) {
      case 'text-delta':
      case 'reasoning-delta':
      case 'refusal-delta':
      case 'tool-call-delta':
        this.#delta(event)
        return
      case 'usage':
      case 'start':
      case 'error':
        this.#emit(event)
        return
      default:
        this.#flush()
        this.#emit(event)
    }
  }

  #delta(event: Delta): void {
    const sent = textOf(event)
    if (this.#halves.size === 0 && sent.isWellFormed()) {
      this.#emit(event)
      return
    }
    const key = `${event.type} ${event.choice} ${event.type === 'tool-call-delta' ? event.call : ''}`
    const text = (this.#halves.get(key)?.half ?? '') + sent
    this.#halves.delete(key)
    const isCut = /[\ud800-\udbff]$/.test(text)
    const whole = isCut ? text.slice(0, -1) : text
    if (isCut) this.#halves.set(key, { half: text.slice(-1), delta: bare(event) })
    if (whole !== '' || !isCut || bare(event) !== event) this.#emit(withText(event, whole.toWellFormed()))
  }

  #flush(): void {
    for (const { delta } of this.#halves.values()) this.#emit(withText(delta, replacement))
    this.#halves.clear()
  }
}

function textOf(event: Delta): string {
  return event.type === 'tool-call-delta' ? event.arguments : event.text
}

function withText(event: Delta, text: string): Delta {
  return event.type === 'tool-call-delta' ? { ...event, arguments: text } : { ...event, text }
}

/** The delta reduced to its text. */
function bare(event: Delta): Delta {
  if (event.type === 'text-delta' && event.logprobs)
    return { type: event.type, choice: event.choice, text: '' }
  if (event.type === 'reasoning-delta' && event.signature !== undefined)
    return { type: event.type, choice: event.choice, text: '' }
  return event
}

/** The same for a whole answer. */
export function wellFormedAnswer(response: ChatResponse): ChatResponse {
  for (const choice of response.choices) {
    choice.text = choice.text.toWellFormed()
    choice.reasoning = choice.reasoning.toWellFormed()
    if (choice.refusal !== undefined) choice.refusal = choice.refusal.toWellFormed()
    for (const call of choice.toolCalls) call.arguments = call.arguments.toWellFormed()
  }
  return response
}
