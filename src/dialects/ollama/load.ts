/**
 * The answer to a chat without messages, by which Ollama's clients load a model, or unload it with a `keep_alive` of
 * 0. Source: Ollama API reference, "Load a model" and "Unload a model".
 */
export function loadAnswer(
  model: string,
  createdAt: Date,
  reason: 'load' | 'unload',
): Record<string, unknown> {
  return {
    model,
    created_at: createdAt.toISOString(),
    message: { role: 'assistant', content: '' },
    done: true,
    done_reason: reason,
  }
}
