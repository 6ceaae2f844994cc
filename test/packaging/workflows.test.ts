import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { parse } from 'yaml'
import { nodeFloors } from '../../src/runtime/node-floor.js'
import { root } from '../helpers/child-env.ts'

// The parser is made for bundlers: it imports its JSON files without import attributes.
const hooks = registerHooks({
  load(url, context, next) {
    if (!url.endsWith('.json')) return next(url, context)
    return { format: 'json', source: readFileSync(new URL(url)), shortCircuit: true }
  },
})
const { convertWorkflowTemplate, NoOperationTraceWriter, parseWorkflow } = await import(
  '@actions/workflow-parser'
)
hooks.deregister()

interface Step {
  uses?: string
  run?: string
  with?: Record<string, string | number | boolean>
}

interface Workflow {
  permissions: Record<string, string>
  env?: Record<string, string>
  jobs: Record<
    string,
    { permissions?: Record<string, string>; needs?: string | string[]; steps?: Step[]; uses?: string }
  >
}

const read = (name: string): string => readFileSync(join(root, '.github/workflows', name), 'utf8')
const names = globSync('*.yaml', { cwd: join(root, '.github/workflows') }).toSorted()
const workflows = new Map(names.map((name): [string, Workflow] => [name, parse(read(name))]))

/** Errors reported by GitHub's own parser: invalid members, values, expressions and contexts. */
async function errors(name: string, content: string): Promise<string[]> {
  const { context, value } = parseWorkflow({ name, content }, new NoOperationTraceWriter())
  if (value !== undefined) await convertWorkflowTemplate(context, value)
  return context.errors.getErrors().map(({ message }) => message)
}

describe('the workflows', () => {
  test('are exactly those for tests and releases', () =>
    assert.deepEqual(names, ['release.yaml', 'tests.yaml']))

  for (const name of names)
    test(`${name} is valid according to the GitHub Actions schema`, async () => {
      assert.deepEqual(await errors(name, read(name)), [])
    })

  test('the parser detects a wrong member, an unknown context and a missing job', async () => {
    const text = read('release.yaml')
    for (const [before, after] of [
      ['runs-on:', 'run-on:'],
      ['github.sha', 'gitub.sha'],
      ['needs: [package, image]', 'needs: [package, picture]'],
      ['id-token: write', 'id-token: admin'],
    ] as const)
      assert.notDeepEqual(await errors('release.yaml', text.replace(before, after)), [], after)
  })

  test('refer only to existing files, scripts and versions', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    const versions: unknown[] = []
    for (const { jobs } of workflows.values())
      for (const { steps = [], uses } of Object.values(jobs)) {
        if (uses !== undefined) assert.ok(existsSync(join(root, uses)), uses)
        for (const { run = '', uses: action = '', with: inputs } of steps) {
          for (const [path] of run.matchAll(/(?<!\S)\.\/[\w./-]+/g))
            assert.ok(existsSync(join(root, path)), path)
          for (const [, script = ''] of run.matchAll(/npm run (\S+)/g))
            assert.ok(Object.hasOwn(scripts, script), script)
          if (action.startsWith('actions/setup-node@')) versions.push(inputs?.['node-version'])
        }
      }
    assert.deepEqual(new Set(versions), new Set([nodeFloors[0], 20]))
    const base = workflows.get('release.yaml')?.env?.BASE
    assert.equal(
      readFileSync(join(root, 'Dockerfile'), 'utf8').match(new RegExp(`^FROM ${base}`, 'gm'))?.length,
      2,
    )
  })

  test('workflow permissions are read-only by default, and nothing is published before the tests', () => {
    for (const [name, { permissions, jobs }] of workflows) {
      assert.deepEqual(permissions, { contents: 'read' }, name)
      if (name === 'tests.yaml')
        for (const job of Object.values(jobs)) assert.equal(job.permissions, undefined)
    }
    const { jobs } = workflows.get('release.yaml') ?? assert.fail()
    assert.deepEqual([jobs.package?.needs, jobs.image?.needs], ['tests', 'tests'])
    assert.deepEqual(jobs.publish?.needs, ['package', 'image'])
  })

  test('the image is built for both architectures, with provenance and a bill of materials, on the pinned base', () => {
    const steps = workflows.get('release.yaml')?.jobs.image?.steps ?? []
    const { with: inputs = {} } =
      steps.find(({ uses }) => uses?.startsWith('docker/build-push-action@')) ?? {}
    assert.deepEqual(
      [inputs.platforms, inputs.sbom, inputs.provenance],
      ['linux/amd64,linux/arm64', true, 'mode=max'],
    )
    assert.match(String(inputs['build-contexts']), /@\$\{\{ steps\.base\.outputs\.digest \}\}$/)
    assert.match(String(inputs.labels), /image\.base\.digest=/)
    const published = workflows.get('release.yaml')?.jobs.package
    assert.equal(published?.permissions?.['id-token'], 'write')
    assert.ok(published?.steps?.some(({ run }) => run?.startsWith('npm run release -- --tagged')))
  })
})
