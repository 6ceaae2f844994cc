import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { sampling as anthropic } from '../../../src/dialects/anthropic/request/sampling.ts'
import { sampling as ollama } from '../../../src/dialects/ollama/request/sampling.ts'
import {
  completionSampling,
  missingDefaults,
  sampling as openai,
} from '../../../src/dialects/openai/request/sampling.ts'
import { sampling as responses } from '../../../src/dialects/responses/request/sampling.ts'
import { readSampling, type SamplingTable, writeSampling } from '../../../src/dialects/shared/sampling.ts'
import { llamacpp } from '../../../src/providers/llamacpp.ts'
import { lmstudio } from '../../../src/providers/lmstudio.ts'
import { openai as openaiType } from '../../../src/providers/openai.ts'
import { vllm } from '../../../src/providers/vllm.ts'
import type { Sampling } from '../../../src/sdk/chat.ts'
import { samplingFields } from '../../../src/sdk/sampling.ts'

const root = join(import.meta.dirname, '../../..')
const tables: Record<string, SamplingTable> = { anthropic, ollama, openai, completionSampling, responses }
const everything: Required<Sampling> = {
  maxTokens: 100,
  temperature: 0.5,
  topP: 0.5,
  topK: 40,
  minP: 0.1,
  typicalP: 0.9,
  repetitionPenalty: 1.1,
  presencePenalty: 0.5,
  frequencyPenalty: 0.5,
  seed: 7,
  stop: ['END'],
  logitBias: { 5: -1 },
  logprobs: true,
  topLogprobs: 2,
  n: 1,
}

/** The files in which the type checker finds an error if `Sampling` also has the members of `declaration`. */
async function filesWithErrors(declaration: string): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'sampling-'))
  try {
    const augmented = `export {}\ndeclare module '${root}/src/sdk/sampling.ts' { interface Sampling { ${declaration} } }\n`
    await writeFile(join(folder, 'augmented.d.ts'), augmented)
    const compilerOptions = { typeRoots: [join(root, 'node_modules/@types')], pretty: false }
    const files = ['anthropic', 'gemini', 'ollama', 'openai', 'responses'].map(
      (name) => `${root}/src/dialects/${name}/request/sampling.ts`,
    )
    await writeFile(
      join(folder, 'tsconfig.json'),
      JSON.stringify({
        extends: `${root}/tsconfig.json`,
        compilerOptions: { ...compilerOptions, incremental: false },
        files: ['augmented.d.ts', ...files],
        include: [],
      }),
    )
    const { promise, resolve } = Promise.withResolvers<string>()
    execFile(
      process.execPath,
      [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder],
      (_error, stdout) => resolve(stdout),
    )
    const found = (await promise).matchAll(/src\/((?:\w+\/)+\w+\.ts)\(\d+,\d+\): error/g)
    return [...new Set([...found].map(([, file = '']) => file))].sort()
  } finally {
    await rm(folder, { recursive: true })
  }
}

describe('the sampling tables', () => {
  it('the sampling tables compile with the current fields', { timeout: 60_000 }, async () => {
    assert.deepEqual(await filesWithErrors(''), [])
  })

  it('the sampling tables of all dialects fail to compile if a new field has no row', {
    timeout: 60_000,
  }, async () => {
    assert.deepEqual(await filesWithErrors('newField?: number'), [
      'dialects/anthropic/request/sampling.ts',
      'dialects/gemini/request/sampling.ts',
      'dialects/ollama/request/sampling.ts',
      'dialects/openai/request/sampling.ts',
      'dialects/responses/request/sampling.ts',
      'sdk/sampling.ts',
    ])
  })

  it('a sampling table fails to compile if a row has another type than its field', () => {
    const { seed: _seed, ...withoutSeed } = openai
    // @ts-expect-error: a row is missing
    withoutSeed satisfies SamplingTable
    const wrongValue = {
      ...openai,
      seed: { names: ['seed'] as const, read: (value: unknown) => String(value) },
    }
    // @ts-expect-error: the row reads a string, the field is a number
    wrongValue satisfies SamplingTable
    const withoutReason = { ...openai, seed: {} }
    // @ts-expect-error: a dropped field needs a reason
    withoutReason satisfies SamplingTable
    assert.ok(_seed)
  })
})

for (const [name, table] of Object.entries(tables)) {
  it(`each field is written or reported by ${name}, and what is written reads back the same`, () => {
    for (const field of samplingFields) {
      const beside = field === 'topLogprobs' ? { logprobs: true } : {}
      const dropped: string[] = []
      const body = writeSampling(
        table,
        { ...beside, [field]: everything[field] },
        {
          flavour: llamacpp.flavour,
          drop: (path, why) => dropped.push(`${path}: ${why}`),
        },
      )
      const read = readSampling(table, body)
      const isSingle = field === 'n' && Object.keys(body).length === 0
      if (dropped.length === 0 && !isSingle) assert.deepEqual(read[field], everything[field], field)
      else assert.deepEqual(read[field], undefined, field)
    }
  })
}

it('options of the operator are sent under the names of the server type, and omitted if it has none', () => {
  const options = { num_predict: 50, repeat_penalty: 1.1, min_p: 0.1, typical_p: 0.9, top_k: 4 }
  const sent = ({ flavour }: typeof vllm): unknown => missingDefaults({}, { options }, flavour)
  assert.deepEqual(sent(vllm), { max_tokens: 50, repetition_penalty: 1.1, min_p: 0.1, top_k: 4 })
  assert.deepEqual(sent(lmstudio), { max_tokens: 50, repeat_penalty: 1.1, top_k: 4 })
  const { num_predict: _ollamas, ...same } = options
  assert.deepEqual(sent(llamacpp), { ...same, max_tokens: 50 })
  assert.deepEqual(sent(openaiType), { max_completion_tokens: 50 })
})

it('a default under the server’s own name is sent as the operator wrote it', () => {
  const defaults = { max_tokens: -1, min_p: 0.1, stop: 'END' }
  assert.deepEqual(missingDefaults({}, defaults, openaiType.flavour), defaults)
})

it('a default of "no limit" in one dialect does not hide a limit in another', () => {
  assert.deepEqual(missingDefaults({}, { num_predict: -1, max_tokens: 5 }), { max_tokens: 5 })
})
