import { readFileSync } from 'node:fs'
import { parseObject, textOf } from '../lib/json/read.ts'
import { askRouter } from './ask-router.ts'
import type { Command, CommandContext } from './command-line.ts'
import { usageOf } from './help.ts'
import { formatTable } from './table.ts'

/** `auto eval FILE`: compares the models that `auto` chooses with the expected ones. */
export const autoCommand: Command = async ([action, file, ...more], context) => {
  if (action !== 'eval' || file === undefined || more.length > 0) {
    context.printError(usageOf('auto', context.program) ?? '')
    return 2
  }
  const cases = casesIn(file, context)
  if (!cases) return 2
  const results: Result[] = []
  for (const { expected, body } of cases) {
    const answer = await askRouter(context, 'POST', '/route', body)
    if (!answer) return 1
    if (answer.auto === undefined) {
      context.printError('this router has no automatic model choice, or a configured model named auto\n')
      return 1
    }
    results.push({ expected, chosen: textOf(answer.model) ?? '' })
  }
  context.print(confusionTable(results))
  return 0
}

interface Case {
  expected: string
  body: object
}

interface Result {
  expected: string
  chosen: string
}

/** Reads a file of cases. Prints errors and returns undefined if a line is invalid. */
function casesIn(file: string, { printError }: CommandContext): Case[] | undefined {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    printError(`${file}: cannot be read (${String(Object(error).code)})\n`)
    return undefined
  }
  const cases: Case[] = []
  let errors = 0
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue
    const { model, text: prompt, ...more } = parseObject(line) ?? {}
    const messages = typeof prompt === 'string' ? [{ role: 'user', content: prompt }] : more.messages
    if (typeof model !== 'string' || model === '' || !Array.isArray(messages)) {
      printError(`${file}:${index + 1}: not an object with "model", and "text" or "messages"\n`)
      errors++
    } else cases.push({ expected: model, body: { ...more, messages, model: 'auto' } })
  }
  if (errors === 0 && cases.length === 0) printError(`${file}: contains no lines\n`)
  return errors > 0 || cases.length === 0 ? undefined : cases
}

/** Formats a row per expected model and a column per chosen one, with the share of correct choices. */
export function confusionTable(results: readonly Result[]): string {
  const names = [...new Set(results.flatMap(({ expected, chosen }) => [expected, chosen]))].toSorted()
  const rows = names
    .filter((name) => results.some(({ expected }) => expected === name))
    .map((name) => {
      const ofModel = results.filter(({ expected }) => expected === name)
      const counts = names.map((column) => ofModel.filter(({ chosen }) => chosen === column).length)
      return [name, ...counts.map((count) => (count === 0 ? '.' : String(count))), share(ofModel)]
    })
  const table = [['EXPECTED \\ CHOSEN', ...names, 'CORRECT'], ...rows]
  return `${formatTable(table, 'right')}\n${results.length} requests, ${share(results)} correct\n`
}

function share(results: readonly Result[]): string {
  const correct = results.filter(({ expected, chosen }) => expected === chosen).length
  return `${Math.round((100 * correct) / results.length)}%`
}
