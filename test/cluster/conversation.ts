import assert from 'node:assert/strict'
import { Agent, request } from 'node:http'

export type Send = (method: string, path: string, body?: object) => Promise<{ status: number; text: string }>

/** All requests use one connection, so they reach one worker. */
export function connectTo(
  { url }: { readonly url: string },
  headers: Record<string, string> = { 'content-type': 'application/json' },
): Send {
  const { hostname: host, port } = new URL(url)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  return (method, path, body) =>
    new Promise((resolve, reject) => {
      const sent = request({ host, port, method, path, agent, headers }, async (response) => {
        let text = ''
        for await (const chunk of response) text += chunk
        resolve({ status: response.statusCode ?? 0, text })
      })
      sent.once('error', reject)
      sent.end(body && JSON.stringify(body))
    })
}

export async function answer(
  send: Send,
  input: string,
  previous?: string,
): Promise<{ id: string; text: string }> {
  const body = { model: 'mock', input, ...(previous ? { previous_response_id: previous } : {}) }
  const { status, text } = await send('POST', '/v1/responses', body)
  assert.equal(status, 200, text)
  return { id: JSON.parse(text).id, text }
}

/** A conversation that alternates between two processes; one deletes its last response, and the other one then returns 404. */
export async function converse(one: Send, two: Send): Promise<void> {
  let previous: string | undefined
  for (const [turn, send] of [one, two, one, two].entries()) {
    previous = (await answer(send, `turn ${turn}`, previous)).id
  }
  assert.equal((await one('GET', `/v1/responses/${previous}`)).status, 200)
  assert.equal((await one('DELETE', `/v1/responses/${previous}`)).status, 200)
  assert.equal((await two('GET', `/v1/responses/${previous}`)).status, 404)
}
