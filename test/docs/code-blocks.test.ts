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
  // Within the repository, so that the examples find their packages as a reader's do.
  folder = mkdtempSync(join(root, 'test/docs/example-'))
  router = await startRouter({ models: modelsConfig({ demo: [{ api_type: 'mock' }] }) })
})
after(async () => {
  await router.close()
  rmSync(folder, { recursive: true })
})

// test/docs/extending.test.ts, test/packaging/package.test.ts and test/strategies/docs.test.ts run what they show.
test('the TypeScript of the pages compiles', () => {
  const names = blocks
    .filter(({ language }) => language === 'ts')
    .map(({ page, line, text }) => {
      const name = `${page.replaceAll(/\W/g, '-')}-${line}.ts`
      // A part of an extension, without the function around it.
      const around = text.startsWith('app.')
        ? "import type { FastifyInstance } from 'fastify'\n\ndeclare const app: FastifyInstance\n"
        : ''
      // It is the import of the app that declares what its plugins add to Fastify.
      writeFileSync(join(folder, name), `import type {} from '../../../src/app.ts'\n${around}${text}`)
      return name
    })
  assert.ok(names.length >= 4)
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      extends: '../../../tsconfig.json',
      // What the router's sources say of themselves is kept from run to run: they are most of the work.
      compilerOptions: { tsBuildInfoFile: join(root, 'node_modules/.cache/docs.tsbuildinfo') },
      include: names,
      files: names,
    }),
  )
  // Several threads would each check what the others do, too: other tests need the processors.
  const args = ['--project', folder, '--singleThreaded']
  const { status, stdout } = spawnSync(join(root, 'node_modules/.bin/tsc'), args, { encoding: 'utf8' })
  assert.equal(status, 0, stdout)
})

describe('the JavaScript of the pages', () => {
  // test/packaging/package.test.ts runs the extensions of docs/extending.md.
  const programs = blocks.filter(({ page, language }) => language === 'js' && page !== 'docs/extending.md')
  for (const { page, line, text } of programs)
    test(`prints what the model says: ${page}:${line}`, async () => {
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
