// What `helm test` runs in a pod of its own, and a test of the repository against a router without Kubernetes.
// ROUTER_URL: the Service. MODEL: a model to ask; empty for none. KEY: a client key. ASKS_FOR_KEYS: whether clients need one.
const { ROUTER_URL, MODEL, KEY, ASKS_FOR_KEYS } = process.env

await ask('/ping')
if (ASKS_FOR_KEYS === 'true') {
  const { status } = await fetch(`${ROUTER_URL}/v1/models`)
  if (status !== 401) throw new Error(`/v1/models: ${status} without a key, where 401 is expected`)
  console.log('without a key: 401')
}
if (KEY || ASKS_FOR_KEYS !== 'true') await askModels()

async function askModels() {
  const { data } = await ask('/v1/models')
  console.log('models:', data.map(({ id }) => id).join(', '))
  if (!MODEL) return
  const messages = [{ role: 'user', content: 'Say hello.' }]
  const { choices } = await ask('/v1/chat/completions', { model: MODEL, stream: false, messages })
  console.log(`${MODEL}:`, choices[0].message.content)
}

async function ask(path, body) {
  const headers = {
    ...(KEY && { authorization: `Bearer ${KEY}` }),
    ...(body && { 'content-type': 'application/json' }),
  }
  const answer = await fetch(
    ROUTER_URL + path,
    body ? { method: 'POST', headers, body: JSON.stringify(body) } : { headers },
  )
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
  return answer.json()
}
