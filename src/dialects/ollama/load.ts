const emptySaid = { chat: { message: { role: 'assistant', content: '' } }, generate: { response: '' } }

/**
 * The answer to a chat without messages or a generate without prompt, by which Ollama's clients load a model, or unload it
 * with a `keep_alive` of 0. Source: Ollama API reference, "Load a model" and "Unload a model".
 */
export function loadAnswer(
  model: string,
  createdAt: Date,
  reason: 'load' | 'unload',
  form: 'chat' | 'generate' = 'chat',
): Record<string, unknown> {
  return {
    model,
    created_at: createdAt.toISOString(),
    ...emptySaid[form],
    done: true,
    done_reason: reason,
  }
}

/** A time to live of nothing, in any unit: unload the model. */
export function isZeroTime(keepAlive: unknown): boolean {
  return keepAlive === 0 || (typeof keepAlive === 'string' && /^0(ns|us|ms|s|m|h)?$/.test(keepAlive))
}
