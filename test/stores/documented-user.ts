import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Redis } from 'ioredis'

export const documentedPassword = 'hunter2'

/** The words of the line in docs/leases.md that creates the router's Redis user. */
export function documentedUser(): string[] {
  const page = readFileSync(join(import.meta.dirname, '../../docs/leases.md'), 'utf8')
  const line = /<!-- redis-acl -->\n```\n(ACL SETUSER .*)\n```/.exec(page)?.[1]
  assert.ok(line, 'docs/leases.md has the line')
  return line.replace('PASSWORD', documentedPassword).split(' ')
}

/** The line that the page adds for a cluster. */
export function documentedClusterRights(): string[] {
  const page = readFileSync(join(import.meta.dirname, '../../docs/leases.md'), 'utf8')
  const rights = /In a cluster it also needs `([^`]+)`/.exec(page)?.[1]
  assert.ok(rights, 'docs/leases.md has the rights')
  return rights.split(' ')
}

/** Creates the user `llm-router`; `more` adds rights. */
export async function createDocumentedUser(redis: Redis, more: readonly string[] = []): Promise<void> {
  const [command = '', ...args] = documentedUser()
  assert.equal(await redis.call(command, ...args, ...more), 'OK')
  await redis.call('ACL', 'LOG', 'RESET')
}
