import { didYouMean } from '../lib/did-you-mean.ts'
import { isObject } from '../lib/json/read.ts'
import type { Status } from '../sdk/console/status.ts'
import { askRouter } from './ask-router.ts'
import type { Command, CommandContext } from './command-line.ts'
import { usageOf } from './help.ts'
import { formatTable } from './table.ts'

const actions: readonly string[] = ['list', 'drain', 'resume', 'reset', 'weight']

/** `targets ...`: lists, drains, resumes and resets targets of a running router and sets their weights. */
export const targets: Command = async ([action = 'list', ...args], context) => {
  const { printError, print } = context
  const [first, second, third, ...more] = args
  switch (action) {
    case 'list':
      if (first !== undefined) break
      return list(context)
    case 'drain':
    case 'resume':
    case 'reset': {
      if (first === undefined || second !== undefined) break
      const query = context.flags.force ? '?force=true' : ''
      const answer = await askRouter(
        context,
        'POST',
        `/targets/${encodeURIComponent(first)}/${action}${query}`,
      )
      if (!answer) return 1
      print(`${first}: ${{ drain: 'drained', resume: 'resumed', reset: 'reset' }[action]}\n`)
      return 0
    }
    case 'weight': {
      const weight = third === 'configured' ? null : Number(third)
      if (second === undefined || third === undefined || third.trim() === '' || Number.isNaN(weight)) break
      if (more.length > 0) break
      const path = `/models/${encodeURIComponent(first ?? '')}/weights`
      const answer = await askRouter(context, 'PUT', path, { [second]: weight })
      if (!answer) return 1
      const weights = isObject(answer.weights) ? Object.entries(answer.weights) : []
      for (const [id, value] of weights) print(`${id}  ${value}\n`)
      return 0
    }
  }
  const problem = actions.includes(action)
    ? `invalid arguments of targets ${action}`
    : `targets: no such command ${action}${didYouMean(action, actions)}`
  printError(`${problem}\n\n${usageOf('targets', context.program) ?? ''}`)
  return 2
}

async function list(context: CommandContext): Promise<number> {
  const status = (await askRouter(context, 'GET', '/status')) as Pick<Status, 'models'> | undefined // response of this router's API
  if (!status) return 1
  const rows = [['MODEL', 'TARGET', 'STATE', 'WEIGHT', 'IN FLIGHT']]
  for (const { name, targets } of status.models)
    for (const { id, state, weight, in_flight: inFlight } of targets)
      rows.push([name, id, state, String(weight), String(inFlight)])
  context.print(formatTable(rows))
  return 0
}
