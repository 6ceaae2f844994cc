import { join } from 'node:path'

/** The project's directory. */
export const root = join(import.meta.dirname, '../..')

/**
 * The variables of a Node process that a test starts: PATH, these, and Node's compile cache (which halves the start time). The
 * cache is off under coverage, because it makes coverage imprecise.
 */
export function childEnv(env: Record<string, string> = {}): Record<string, string> {
  return {
    PATH: process.env.PATH ?? '',
    ...(process.env.NODE_V8_COVERAGE ? {} : { NODE_COMPILE_CACHE: join(root, 'node_modules/.cache/node') }),
    ...env,
  }
}
