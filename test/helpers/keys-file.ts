import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface KeysFile {
  readonly path: string
  /** Settings that make a router require these keys. */
  readonly env: Record<string, string>
  write(keys: readonly object[]): void
  remove(): void
}

/** A file with client keys, in its own folder. */
export function keysFile(keys: readonly object[]): KeysFile {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-keys-'))
  const path = join(folder, 'keys.json')
  const write = (list: readonly object[]): void => writeFileSync(path, JSON.stringify({ keys: list }))
  write(keys)
  return {
    path,
    env: { LLM_ROUTER_AUTH_ENABLED: '1', LLM_ROUTER_AUTH_MEMORY_SEED_FILE: path },
    write,
    remove: () => rmSync(folder, { recursive: true }),
  }
}

/** The headers with a key. */
export const bearer = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}` })
