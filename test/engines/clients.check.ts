import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type KeysFile, keysFile } from '../helpers/keys-file.ts'
import { modelsConfig } from '../helpers/models-config.ts'
import { startRouter, type TestRouter } from '../helpers/router.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/scripted-upstream.ts'
import { type ClientProgram, claudeCode, clientPrograms, codex } from './client-programs.ts'
import { installClient, openWorkplace, type Workplace } from './client-run.ts'
import { type Conversation, scriptedModel, type Turn } from './scripted-model.ts'

/*
 * Third-party client programs in their current npm versions, over the router with the blocks of docs/clients.md. The model is
 * scripted; what the program does with its calls is real. LLM_ROUTER_TEST_CLIENTS lists some of the packages, separated by
 * commas; empty runs all.
 */
const wanted = (process.env.LLM_ROUTER_TEST_CLIENTS ?? '').split(',').filter(Boolean)
const key = 'sk-0123456789abcdefghij'
const task = 'Make the colour in notes.txt blue'
const targetsOf = (program: ClientProgram): readonly string[] =>
  program === claudeCode || program === codex ? ['vllm', 'llamacpp', 'ollama', 'openai'] : ['vllm']

for (const program of clientPrograms) {
  const skip = wanted.length > 0 && !wanted.includes(program.npmPackage)
  describe(program.heading, { skip }, () => {
    let keys: KeysFile
    let upstream: ScriptedUpstream
    let router: TestRouter
    let commands: string

    before(async () => {
      commands = await installClient(program)
      keys = keysFile([{ id: 'user', key }])
      upstream = await startUpstream({ kind: 'hang' })
    })
    after(async () => {
      await upstream.close()
      keys.remove()
    })

    async function over(
      apiType: string,
      run: (workplace: Workplace) => Promise<void>,
      withMcp = false,
    ): Promise<void> {
      const target = { api_type: apiType, api_host: upstream.url, model_path: 'scripted' }
      router = await startRouter({ env: keys.env, models: modelsConfig({ demo: [target] }) })
      const workplace = openWorkplace(program, { routerUrl: router.url, key, commands, withMcp })
      try {
        await run(workplace)
        const failed = router.logs.filter(
          ({ msg, status }) => msg === 'request' && Number(status) >= 400 && status !== 499,
        )
        assert.deepEqual(failed, [])
      } finally {
        workplace.remove()
        await router.close()
      }
    }

    /** Selects the turn by the number of tool results in the request; requests without tools are side tasks. */
    function playing(turns: (Turn | undefined)[], seen: Conversation[]): void {
      upstream.rescript(
        scriptedModel((conversation) => {
          seen.push(conversation)
          if (conversation.tools.length === 0) return { text: 'A colour' }
          return turns[conversation.results.length] ?? { text: 'The colour is blue now.' }
        }),
      )
    }

    for (const apiType of targetsOf(program))
      test(`reads, edits, runs and makes two calls in parallel before it answers: ${apiType}`, () =>
        over(apiType, async (workplace) => {
          const path = workplace.notesPath
          const seen: Conversation[] = []
          const look = [program.read(path), program.run('echo list; ls')]
          const turns: (Turn | undefined)[] = [
            { thought: 'I look at it first.', text: 'I look.', calls: look },
            undefined,
            { calls: [program.edit(path)] },
            { calls: [program.run('cat notes.txt')] },
          ]
          playing(turns, seen)
          const { code, output } = await workplace.start(program.headless(task)).ended
          assert.equal(code, 0, output)
          assert.equal(workplace.notes(), 'colour = blue\n', output)
          assert.match(output, /The colour is blue now\./)
          const results = seen.findLast(({ tools }) => tools.length > 0)?.results ?? []
          assert.equal(results.length, 4)
          assert.match(results[0] ?? '', /colour = red/)
          assert.match(results[1] ?? '', /list[\s\S]*notes\.txt/)
          assert.match(results[3] ?? '', /colour = blue/)
        }))

    test('aborts the upstream request when it is interrupted', () =>
      over('vllm', async (workplace) => {
        const begun = Promise.withResolvers<number>()
        upstream.rescript((request, index) => {
          if (request.method === 'GET') return { kind: 'reply', body: { object: 'list', data: [] } }
          begun.resolve(index)
          return { kind: 'stream', pieces: [': waiting\n\n'], ending: 'hang' }
        })
        const { interrupt, ended } = workplace.start(program.headless(task))
        const index = await begun.promise
        interrupt()
        await upstream.requestClosed(index)
        await ended
      }))

    if (program.compaction) {
      const runs = program.compaction
      test('summarizes the conversation and continues from the summary', () =>
        over('vllm', async (workplace) => {
          const summary = 'The user likes marmalade.'
          let summaries = 0
          upstream.rescript(
            scriptedModel(({ raw, results, tools }) => {
              if (raw.includes(summary)) return { text: 'I go on.' }
              if (/CHECKPOINT COMPACTION|summary of the conversation/i.test(raw)) {
                summaries++
                return { text: `<summary>${summary}</summary>` }
              }
              if (tools.length === 0 || results.length > 0) return { text: 'Hello.' }
              return { calls: [program.run('ls')] }
            }),
          )
          let said = ''
          for (const args of runs) {
            const { code, output } = await workplace.start(args).ended
            assert.equal(code, 0, output)
            said = output
          }
          assert.ok(summaries > 0)
          assert.match(said, /I go on\./)
        }))
    }

    if (program.mcp) {
      const { tool } = program.mcp
      test('calls a tool of an MCP server', () =>
        over(
          'vllm',
          async (workplace) => {
            const seen: Conversation[] = []
            const call = { calls: [{ name: tool, args: { day: 'Monday' } }] }
            // If the program offers its tools on demand, the model asks for this one first.
            upstream.rescript(
              scriptedModel((conversation) => {
                seen.push(conversation)
                if (conversation.tools.length === 0) return { text: 'A word' }
                if (conversation.results.at(-1)?.includes('marmalade')) return { text: 'It is marmalade.' }
                if (conversation.tools.includes(tool)) return call
                return { calls: [{ name: 'ToolSearch', args: { query: `select:${tool}` } }] }
              }),
            )
            const { code, output } = await workplace.start(program.headless('Which word is it on Monday?'))
              .ended
            assert.equal(code, 0, output)
            assert.match(output, /It is marmalade\./)
            assert.match(seen.at(-1)?.results.at(-1) ?? '', /marmalade on Monday/)
          },
          true,
        ))
    }
  })
}
