import assert from 'node:assert/strict'

export interface Read {
  status: number
  body: Record<string, unknown>
}

/** GET of a path below the prefix. */
export async function read<Body>(
  url: string,
  path: string,
  headers: Record<string, string> = {},
): Promise<Body> {
  const response = await fetch(`${url}/api${path}`, { headers })
  const text = await response.text()
  assert.equal(response.status, 200, text)
  assert.equal(response.headers.get('cache-control'), 'no-store')
  return JSON.parse(text)
}

export const chat = (model: string, stream = false, content = 'a secret prompt') => ({
  ...{ model, stream, messages: [{ role: 'user', content }] },
  ...(stream ? { stream_options: { include_usage: true } } : {}),
})

export const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0)
