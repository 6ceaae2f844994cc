import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startUpstream } from '../helpers/scripted-upstream.ts'
import { question, startCache } from './cache-setup.ts'

test('a cached response is used while retrieval finds the same passages, with the sources of the new request', async (t) => {
  let text = 'Holidays are 26 days.'
  const search = await startUpstream(() => ({
    kind: 'reply',
    body: { results: [{ text, source: 'guide.md', title: 'Guide', score: 0.9 }] },
  }))
  t.after(() => search.close())
  const service = { type: 'http', url: `${search.url}/search` }
  const { ask, upstream, close } = await startCache({
    processors: [
      { type: 'retrieval', name: 'guide', service, clients: ['*'] },
      { type: 'cache', scope: 'all' },
    ],
  })
  t.after(close)
  for (const stream of [false, true]) {
    const body = { ...question(`stream ${stream}`), stream }
    await ask(body, 'miss')
    assert.match(upstream.requests.at(-1)?.raw.toString() ?? '', /Holidays are/)
    const again = await ask(body, 'hit')
    assert.match(again.text, /"source":"guide.md"/)
  }
  text = 'Holidays are 27 days.'
  await ask({ ...question('stream false') }, 'miss')
  await ask({ ...question('stream false') }, 'hit')
})
