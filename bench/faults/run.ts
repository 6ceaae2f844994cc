import { join } from 'node:path'
import { writeBetween } from '../support/write-between.ts'
import { begun, good, hang, stream } from './answers.ts'
import { clientOf } from './ask.ts'
import { afterContent, beforeContent } from './cases.ts'
import { startFaultServer } from './fault-server.ts'
import { leave } from './leaving.ts'
import { play, type Scene, scenesOf } from './play.ts'
import { proxies, versions } from './proxies.ts'
import { entry, leavingTable, outcomeTable, promptMs, type Results, worseCells } from './tables.ts'

/**
 * `npm run bench:faults` simulates failures of model servers behind this router, nginx and HAProxy, and prints what the
 * official OpenAI client received; `-- --write` also writes the tables to docs/reliability.md. Exit code 1: the router was
 * worse somewhere.
 */
const tries = 20
const maxRunMs = 240_000

async function main(): Promise<void> {
  const found = versions()
  const limit = setTimeout(() => {
    console.error(`not done after ${maxRunMs / 1000} s`)
    process.exit(1)
  }, maxRunMs)
  const partner = await startFaultServer(good)
  const scenes = {
    before: await scenesOf(beforeContent, 'before', partner.port),
    after: await scenesOf(afterContent, 'after'),
    leaving: await scenesOf(
      [
        { name: 'while it waits for the answer', act: hang, asks: 'stream' },
        { name: 'in the middle of a stream', act: stream(begun, 'silence'), asks: 'stream' },
      ],
      'leaving',
    ),
  }
  const results: Results = { before: new Map(), after: new Map(), leaving: new Map() }
  for (const name of Object.keys(proxies)) await playAll(name, scenes, results)
  for (const { server } of Object.values(scenes).flat()) await server?.close()
  await partner.close()
  clearTimeout(limit)
  report(results, found)
}

async function playAll(
  name: string,
  scenes: Record<keyof Results, readonly Scene[]>,
  results: Results,
): Promise<void> {
  console.error(`${name} ...`)
  const proxy = await proxies[name]?.(
    Object.values(scenes)
      .flat()
      .map(({ backend }) => backend),
  )
  if (!proxy) return
  try {
    // First and sequentially: its times should be those of the proxy, not of a busy machine.
    for (const { fault, backend, server } of scenes.leaving) {
      if (!server) continue
      const times = await leave(clientOf(proxy.port, backend.name), backend.name, server, tries)
      entry(results.leaving, fault.name).set(name, times)
    }
    for (const part of ['before', 'after'] as const) {
      const played = scenes[part].map((scene) => play(scene, proxy.port, tries))
      const counts = await Promise.all(played)
      for (const [index, { fault }] of scenes[part].entries()) {
        const seen = counts[index]
        if (seen) entry(results[part], fault.name).set(name, seen)
      }
    }
  } finally {
    await proxy.stop()
  }
}

function report({ before, after, leaving }: Results, found: string): void {
  const names = Object.keys(proxies)
  const text = [
    `What ${tries} clients saw (${found}).`,
    outcomeTable('One of two servers', before, names),
    outcomeTable('The only server', after, names),
    `Of ${tries} calls to a server, those that were over ${promptMs} ms after the client had left:`,
    leavingTable('The client leaves', leaving, names),
  ].join('\n\n')
  console.log(text)
  if (process.argv.includes('--write')) {
    writeBetween(join(import.meta.dirname, '../../docs/reliability.md'), 'bench:faults', text)
  }
  const worse = worseCells({ before, after, leaving }, names)
  for (const line of worse) console.error(`worse than another: ${line}`)
  if (worse.length > 0) process.exitCode = 1
}

await main()
