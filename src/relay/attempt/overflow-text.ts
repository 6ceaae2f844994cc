/**
 * Whether an upstream's text says that the request is too long for it, whatever its status is. llama.cpp answers 500
 * ("input (40001 tokens) is too large to process", "the request exceeds the available context size"), and so does Ollama
 * for embeddings ("input length exceeds maximum context length").
 */
export function saysTooLong(text: string | undefined): boolean {
  return text !== undefined && tooLong.test(text.slice(0, maxExamined))
}

const maxExamined = 1_024
/** "the model's maximum context", "the physical batch" and so on. */
const bound =
  "(?:(?:the|its|this) )?(?:model(?:'s)? )?(?:(?:maximum|available|allowed|physical) )*(?:context|batch)"
const tooLong = new RegExp(
  [
    'too large to process',
    `exceeds? ${bound}(?: length| size| window)?\\b`,
    `(?:larger|longer|greater) than ${bound} (?:length|size|window)`,
    'maximum context length',
    '\\b(?:prompt|input|request) (?:is )?too (?:long|large)\\b',
  ].join('|'),
  'i',
)
