import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type AutoRig, startAuto } from '../auto/rig.ts'
import { post } from '../helpers/http.ts'
import { type Folder, tempFolder, writeIndex } from './rig.ts'

let folder: Folder
let rig: AutoRig

before(async () => {
  folder = tempFolder()
  writeIndex(folder.path, 'docs', ['A holiday takes twenty days.'])
  folder.write(
    'own.mjs',
    `export default (app) => {
  const question = ({ body }) => ({ model: body.model, messages: [{ role: 'user', content: body.text }] })
  const config = { surface: 'text' }
  app.post('/own', { config }, (request) => app.gateway.ask(question(request), request))
  app.post('/own/stream', { config }, async (request) => {
    const events = []
    for await (const event of app.gateway.stream(question(request), request)) events.push(event)
    return events
  })
}
`,
  )
  rig = await startAuto(
    { models: ['small', 'large'], rules: [{ model: 'large', words: ['holiday'] }] },
    {
      root: { processors: [{ type: 'retrieval', index: 'docs', embedding_model: 'e', clients: ['*'] }] },
      env: { LLM_ROUTER_INDEX_DIR: folder.path, LLM_ROUTER_EXTENSIONS: join(folder.path, 'own.mjs') },
    },
  )
})
after(async () => {
  await rig.close()
  folder.remove()
})

test('requests of extensions can use auto, get passages and return the sources', async () => {
  const body = { model: 'auto', text: 'How long is a holiday?' }
  const whole = JSON.parse((await post(`${rig.router.url}/own`, body)).text)
  assert.deepEqual([whole.model, whole.text], ['large', 'Fine.'])
  assert.equal(whole.sources[0].source, 'doc0.md')
  assert.match(rig.models.requests.at(-1)?.raw.toString() ?? '', /A holiday takes twenty days/)
  const streamed = await post(`${rig.router.url}/own/stream`, body)
  assert.equal(JSON.parse(streamed.text).at(-1).model, 'large')
  assert.match(rig.models.requests.at(-1)?.raw.toString() ?? '', /A holiday takes twenty days/)
  assert.deepEqual(rig.asked, ['large', 'large'])
  const plain = JSON.parse((await post(`${rig.router.url}/own`, { ...body, model: 'small' })).text)
  assert.equal(plain.model, 'small')
})
