import { type SpawnSyncReturns, spawnSync } from 'node:child_process'

/** Runs a program from the system's packages. If it is missing, throws an error that says what to install. */
export function run(
  program: string,
  args: readonly string[],
  { debianPackage, input }: { debianPackage: string; input?: string },
): SpawnSyncReturns<string> {
  const ended = spawnSync(program, args, { encoding: 'utf8', ...(input === undefined ? {} : { input }) })
  if (ended.error && 'code' in ended.error && ended.error.code === 'ENOENT')
    throw missing(program, debianPackage)
  return ended
}

export function missing(program: string, debianPackage: string): Error {
  return new Error(
    `this test needs ${program}: install it, on Debian or Ubuntu with: sudo apt-get install ${debianPackage}`,
  )
}
