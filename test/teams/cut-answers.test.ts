import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { openRequest } from '../helpers/http.ts'
import { startUpstream } from '../helpers/scripted-upstream.ts'
import { openTeam, sqliteUrl } from './team-router.ts'

const messages = [{ role: 'user', content: 'x'.repeat(4_000) }]

test('a non-streaming response that its client abandoned counts its prompt and the estimated completion', async (t) => {
  const upstream = await startUpstream({ kind: 'hang' })
  t.after(() => upstream.close())
  const provider = { id: 'slow', api_type: 'vllm', api_host: upstream.url }
  const team = await openTeam(
    t,
    sqliteUrl(t),
    {},
    { active_models: { all: ['slow'] }, all: { slow: { providers: [provider] } } },
  )
  const key = await team.newKey('alice')
  const leave = async (body: object, index: number): Promise<void> => {
    const headers = [`authorization: Bearer ${key}`]
    const socket = await openRequest(team.router.url, '/v1/chat/completions', body, `left-${index}`, headers)
    await upstream.requestReceived(index)
    // The completion is estimated from the elapsed time.
    await new Promise((resolve) => setTimeout(resolve, 100))
    socket.destroy()
    await once(socket, 'close')
    await upstream.requestClosed(index)
  }
  await leave({ model: 'slow', messages, max_tokens: 3 }, 0)
  await leave({ model: 'slow', messages, max_tokens: 3, stream: true }, 1)
  let line: Record<string, number> = {}
  await eventually(async () => {
    const { body } = await team.admin('GET', '/usage?by=client')
    line = body.data[0] ?? {}
    return line.requests === 2
  })
  // Both prompts count; of the non-streaming response at most its limit, and of the stream nothing was sent.
  assert.ok(Number(line.prompt_tokens) > 2_000 && Number(line.prompt_tokens) < 2_200, `${line.prompt_tokens}`)
  assert.equal(line.completion_tokens, 3)
  assert.equal(line.errors, 0)
})
