/** What may stand before a question: bullets, emphasis, and a number that is no year, no decimal and no time. */
const lead = /^(?:[>+–—-]\s+|[•·▪◦*]+\s*)*(?:\(?(?:Q(?:uestion)?\s*|Pytanie\s+)?\d{1,3}[.):](?!\d))?[\s*_]*/iu
const emphasis = /(?<![*_])[*_]+$/
const endOfQuestion = /[?？؟]["'”»’)\]]*$/u

/** The questions in a model's answer, each on a line of its own, in all its blocks; not more than `limit`. */
export function readQuestions(answer: string, limit: number): string[] {
  return answer
    .split(/\r\n|[\n\r\u2028]/)
    .map((line) => line.trim().replace(lead, '').replace(emphasis, '').trim())
    .filter((line) => endOfQuestion.test(line))
    .slice(0, limit)
}
