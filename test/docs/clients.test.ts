import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'yaml'
import { blocksOf } from './blocks.ts'

const blocks = blocksOf('docs/clients.md')

// What a reader replaces must be the same everywhere. test/engines/ runs the programs with these blocks.
test('every block of docs/clients.md has the same router address, model and key', () => {
  for (const { language, line, text } of blocks) {
    const addresses = text.match(/https?:\/\/[\w.-]+:\d+/g) ?? []
    for (const address of addresses)
      assert.match(address, /^http:\/\/(?:127\.0\.0\.1|host\.docker\.internal):8080$/, `line ${line}`)
    if (addresses.length > 0) assert.match(text, /ROUTER_KEY|unused|"llm-router"/, `line ${line}`)
    if (['js', 'python', 'toml', 'yaml'].includes(language)) assert.match(text, /\bdemo\b/, `line ${line}`)
  }
})

test('the JSON and YAML blocks of docs/clients.md are valid', () => {
  for (const { language, text } of blocks) {
    if (language === 'json') assert.ok(JSON.parse(text))
    if (language === 'yaml') assert.equal(parse(text).models[0].model, 'demo')
  }
})
