import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { ProbedDialect } from '../../scripts/translation-probes/probe.ts'
import {
  fateOf,
  probedDialects,
  translatedTypes,
  translationDocs,
} from '../../scripts/write-translation-docs.ts'
import { AnthropicMessagesBody } from '../../src/dialects/anthropic/request/schema.ts'
import { GeminiChatBody } from '../../src/dialects/gemini/request/schema.ts'
import { OllamaChatBody } from '../../src/dialects/ollama/request/schema.ts'
import { OpenaiChatBody } from '../../src/dialects/openai/request/schema.ts'
import { ResponsesBody } from '../../src/dialects/responses/request/schema.ts'

const schemas: Record<string, { properties: object }> = {
  openai: OpenaiChatBody,
  ollama: OllamaChatBody,
  anthropic: AnthropicMessagesBody,
  responses: ResponsesBody,
  gemini: GeminiChatBody,
}

/** Fields without an effect on some server type that are not reported as dropped. */
function silentFields(dialect: ProbedDialect): string[] {
  return dialect.probes
    .filter((probe) =>
      translatedTypes(dialect).some((type) => fateOf(dialect, probe, type).kind === 'silent'),
    )
    .map(({ field }) => field)
}

it('docs/translation.md describes what the codecs do', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/translation.md'), 'utf8')
  assert.ok(page === translationDocs(page), 'run: npm run docs:translation')
})

for (const dialect of probedDialects) {
  describe(`a request in the dialect ${dialect.dialect}`, () => {
    it('is probed in every field of its schema', () => {
      const probed = new Set([
        ...dialect.probes.map(({ field }) => /^\w*/.exec(field)?.[0]),
        ...Object.keys(dialect.own),
      ])
      const named = Object.keys(schemas[dialect.dialect]?.properties ?? assert.fail('no schema'))
      assert.deepEqual(
        named.filter((name) => !probed.has(name)),
        [],
      )
    })

    it('drops no field silently, except those for which the page gives a reason', () => {
      assert.deepEqual(silentFields(dialect).sort(), Object.keys(dialect.silent).sort())
    })

    it('reports unknown fields as dropped, for every server type', () => {
      const unknown = dialect.probes.find(({ field }) => field === 'any other field') ?? assert.fail()
      for (const type of translatedTypes(dialect)) {
        assert.equal(fateOf(dialect, unknown, type).kind, 'dropped', type.name)
      }
    })
  })
}
