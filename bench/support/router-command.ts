import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')

/** What Node is given to run the router, as `npm start` gives it: its options, and the program with its whole path. */
export function routerArgs(): string[] {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const [, ...args] = String(scripts.start).split(' ')
  return args.map((arg) => (arg.endsWith('.ts') ? join(root, arg) : arg))
}
