import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { post } from '../helpers/http.ts'
import { type AutoRig, startAuto } from './rig.ts'

const open: AutoRig[] = []
afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
})

const said = (content: string) => ({ model: 'auto', messages: [{ role: 'user', content }] })

async function chosenWith(env: Record<string, string>, texts: string[]): Promise<string[]> {
  const rig = await startAuto(undefined, {
    env: { LLM_ROUTER_UTILS_PLUGINS_PIPELINE: 'simple_semantic_routing', ...env },
  })
  open.push(rig)
  for (const text of texts) {
    const answer = await post(`${rig.router.url}/v1/chat/completions`, said(text))
    assert.equal(answer.status, 200, answer.text)
  }
  return rig.asked
}

test('the simple_semantic_routing variables select by model size and by the words of the request', async () => {
  const words = (count: number): string => 'lorem '.repeat(count)
  assert.deepEqual(
    await chosenWith({ LLM_ROUTER_ROUTING_MODELS: 'small|middle|large' }, [
      'lorem ipsum',
      words(60),
      words(200),
      'Write a Python function',
      `${words(200)} python function with a bug`,
      'Calculate the integral',
      `Write a poem ${words(200)}`,
      'Napisz wiersz',
      'What is this, hello',
    ]),
    // Without a matching word, one step down.
    ['small', 'small', 'middle', 'middle', 'large', 'middle', 'small', 'small', 'small'],
  )
})

test('variables set the thresholds, additional words and the two-model case', async () => {
  assert.deepEqual(
    await chosenWith(
      {
        LLM_ROUTER_ROUTING_MODELS: 'small|large',
        LLM_ROUTER_ROUTING_COMPLEXITY_THRESHOLDS: '2|4',
        LLM_ROUTER_ROUTING_INTENT_CODE: 'kubernetes|helm chart:5',
        LLM_ROUTER_ROUTING_DEFAULT_MODEL: 'large',
      },
      ['kubernetes', 'a poem about a helm chart', 'a poem', 'what'],
    ),
    ['large', 'large', 'small', 'small'],
  )
})

test('a missing or unknown model in the variables prevents startup', async () => {
  await assert.rejects(chosenWith({}, []), /LLM_ROUTER_ROUTING_MODELS: required/)
  await assert.rejects(
    chosenWith({ LLM_ROUTER_ROUTING_MODELS: 'smal|large' }, []),
    /LLM_ROUTER_ROUTING_MODELS: no active model "smal"; did you mean "small"/,
  )
  await assert.rejects(
    chosenWith({ LLM_ROUTER_ROUTING_MODELS: 'small', LLM_ROUTER_ROUTING_COMPLEXITY_THRESHOLDS: '9|1' }, []),
    /LLM_ROUTER_ROUTING_COMPLEXITY_THRESHOLDS/,
  )
})
