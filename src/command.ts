import { programName } from './cli/command-line.ts'
import { runCli } from './cli/run.ts'

const program = programName(process.argv, process.env.LLM_ROUTER_COMMAND)
// Set by start scripts for messages only; it is not a setting.
delete process.env.LLM_ROUTER_COMMAND
let outputFailed = false
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // A reader that exits early (`llm-router schema | head`) is not an error; a full disk is.
  if (error.code === 'EPIPE') return
  outputFailed = true
  process.stderr.write(`${program}: cannot write the output: ${error.code}\n`)
})
const code = await runCli(process.argv.slice(2), {
  program,
  env: process.env,
  print: (text) => void process.stdout.write(text),
  printError: (text) => void process.stderr.write(text),
  async serve(env, nameOption) {
    // As in start.js; they end all other commands.
    for (const signal of ['SIGHUP', 'SIGUSR1', 'SIGUSR2']) process.on(signal, () => undefined)
    Object.assign(process.env, env)
    const { operatorKeyFor } = await import('./cli/operator-key.ts')
    // Cluster workers inherit the primary's key through the environment.
    const operatorKey = operatorKeyFor(env)
    if (operatorKey !== undefined) process.env.LLM_ROUTER_ADMIN_KEY = operatorKey
    const { serve } = await import('./serve.ts')
    await serve({ nameOption, operatorKey })
  },
})
if (code !== undefined) {
  // Exiting would drop output that a slow reader of a pipe has not consumed yet (`llm-router schema | less`).
  await flushed(process.stdout)
  await flushed(process.stderr)
  process.exit(outputFailed ? 1 : code)
}

/** Resolves when everything written has reached the file, terminal or pipe, or when its reader is gone. */
function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.write('', () => resolve())
  })
}
