import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { childEnv, root } from '../helpers/child-env.ts'

export interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

/** Runs the command line to its end, in the project's directory, with these variables alone. */
export async function runCli(
  args: readonly string[],
  env: Record<string, string> = {},
  cwd = root,
): Promise<Ended> {
  const child = spawn(process.execPath, [join(root, 'src/cli.ts'), ...args], {
    cwd,
    env: childEnv(env),
  })
  const ended: Ended = { code: null, stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (chunk) => {
      ended[name] += chunk
    })
  }
  const [code] = await once(child, 'close')
  return { ...ended, code: typeof code === 'number' ? code : null }
}
