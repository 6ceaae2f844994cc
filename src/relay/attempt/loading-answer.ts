const words = /\bloading (?:the )?model\b|\bmodel is (?:still |currently )?(?:loading|being loaded)\b/i

/** Whether a server says that its model is not loaded yet, as llama.cpp does with 503 and `Loading model`. */
export function isLoadingAnswer(status: number, text: string): boolean {
  return status === 503 && words.test(text)
}
