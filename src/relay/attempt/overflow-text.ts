/**
 * Whether an upstream's text says that the request is too long for it, whatever its status is. llama.cpp answers 500
 * ("input (40001 tokens) is too large to process", "the request exceeds the available context size"), and so does Ollama
 * for embeddings ("input length exceeds maximum context length").
 */
export function saysTooLong(text: string | undefined): boolean {
  return text !== undefined && tooLong.test(text.slice(0, maxExamined))
}

const maxExamined = 1_024
const tooLong = new RegExp(
  [
    'too large to process',
    'exceeds? (?:the )?(?:maximum |available )?(?:context|batch)(?: length| size| window)?\\b',
    '(?:larger|longer|greater) than (?:the )?(?:maximum )?(?:context|batch|physical batch) (?:length|size|window)',
    'maximum context length',
    'prompt is too long',
  ].join('|'),
  'i',
)
