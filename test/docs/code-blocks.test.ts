import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { blocksOf, pages, root } from './blocks.ts'

const blocks = pages.flatMap(blocksOf)
let folder: string
let router: TestRouter

before(async () => {
  // Within the repository, so that the examples find their packages as they do for a reader.
  folder = mkdtempSync(join(root, 'test/docs/example-'))
  router = await startRouter({ models: modelsConfig({ demo: [{ api_type: 'mock' }] }) })
})
after(async () => {
  await router.close()
  rmSync(folder, { recursive: true })
})

// test/docs/extending.test.ts, test/packaging/package.test.ts and test/strategies/docs.test.ts run the code.
test('the TypeScript of the pages compiles', () => {
  const names = blocks
    .filter(({ language }) => language === 'ts')
    .map(({ page, line, text }) => {
      const name = `${page.replaceAll(/\W/g, '-')}-${line}.ts`
      // A fragment of an extension, without the surrounding function.
      const around = text.startsWith('app.')
        ? "import type { FastifyInstance } from 'fastify'\n\ndeclare const app: FastifyInstance\n"
        : ''
      // The import of the app declares what its plugins add to Fastify.
      writeFileSync(join(folder, name), `import type {} from '../../../src/app.ts'\n${around}${text}`)
      return name
    })
  assert.ok(names.length >= 4)
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      extends: '../../../tsconfig.json',
      // The type information of the router's sources is cached between runs: it is most of the work.
      compilerOptions: { tsBuildInfoFile: join(root, 'node_modules/.cache/docs.tsbuildinfo') },
      include: names,
      files: names,
    }),
  )
  // Threads would repeat part of the work, and other tests need the processors.
  const args = ['--project', folder, '--singleThreaded']
  const { status, stdout } = spawnSync(join(root, 'node_modules/.bin/tsc'), args, { encoding: 'utf8' })
  assert.equal(status, 0, stdout)
})

describe('the JavaScript of the pages', () => {
  // test/packaging/package.test.ts runs the extensions of docs/extending.md.
  const programs = blocks.filter(({ page, language }) => language === 'js' && page !== 'docs/extending.md')
  for (const { page, line, text } of programs)
    test(`prints the response of the model: ${page}:${line}`, async () => {
      const file = join(folder, `example-${line}.mjs`)
      writeFileSync(file, text.replaceAll('http://127.0.0.1:8080', router.url))
      const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] })
      let said = ''
      child.stdout.on('data', (chunk) => {
        said += chunk
      })
      assert.deepEqual(await once(child, 'close'), [0, null])
      assert.match(said, /the last user message says "Hello"/)
    })
})
