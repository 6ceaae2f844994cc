// What `helm test` runs in a pod of its own, and a test of the repository against a router without Kubernetes.
// ROUTER_URL: the Service. MODEL: a model to ask; empty for none.
const { ROUTER_URL, MODEL } = process.env

await ask('/ping')
const { data } = await ask('/v1/models')
console.log('models:', data.map(({ id }) => id).join(', '))
if (MODEL) {
  const messages = [{ role: 'user', content: 'Say hello.' }]
  const { choices } = await ask('/v1/chat/completions', { model: MODEL, stream: false, messages })
  console.log(`${MODEL}:`, choices[0].message.content)
}

async function ask(path, body) {
  const answer = await fetch(
    ROUTER_URL + path,
    body && { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) },
  )
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
  return answer.json()
}
