import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')

/** Node's arguments to run the router as `npm start` does: its options, and the full path of the program. */
export function routerArgs(): string[] {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const [, ...args] = String(scripts.start).split(' ')
  return args.map((arg) => (arg.endsWith('.ts') ? join(root, arg) : arg))
}
