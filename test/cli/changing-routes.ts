import assert from 'node:assert/strict'
import { join } from 'node:path'
import { root } from '../helpers/child-env.ts'

/** An extension with a route that requires an operator key. */
export const changingRoutes = join(root, 'test/fixtures/extensions/changing-routes.ts')

/** The status of the response to a request to that route with this key. */
export async function change(url: string, key: string): Promise<number> {
  const { status } = await fetch(`${url}/change/undeclared`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}` },
  })
  return status
}

/** The operator key generated at the start; asserts that the output has it once. */
export function printedKey(output: string): string {
  const keys = [...output.matchAll(/operator key of this run: (\S+)\n/g)].map(([, key = '']) => key)
  assert.equal(keys.length, 1, output)
  const [key = ''] = keys
  assert.ok(key.length >= 32)
  return key
}
