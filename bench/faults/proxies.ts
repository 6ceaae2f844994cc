import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Child, freePort, listening, startChild } from '../support/child.ts'
import { routerArgs } from '../support/router-command.ts'
import type { Backend } from './backend.ts'
import { haproxyConfig } from './haproxy-config.ts'
import { nginxConfig } from './nginx-config.ts'

export interface Proxy {
  port: number
  stop(): Promise<void>
}

/** Timeouts for connecting, for the first byte and for each silence, equal for all proxies. In seconds. */
export const timeoutSeconds = 1

export const proxies: Record<string, (backends: readonly Backend[]) => Promise<Proxy>> = {
  'llm-router': startRouter,
  nginx: (backends) =>
    startServer(
      'nginx',
      (file) => ['-p', join(file, '..'), '-c', file],
      (port) => nginxConfig(port, backends, timeoutSeconds),
    ),
  HAProxy: (backends) =>
    startServer(
      'haproxy',
      (file) => ['-db', '-f', file],
      (port) => haproxyConfig(port, backends, timeoutSeconds),
    ),
}

/** The compared versions, for the head of a table. Ends the process if one is not installed. */
export function versions(): string {
  // Debian installs both in directories that only root's PATH contains.
  process.env.PATH = `${process.env.PATH}:/usr/sbin`
  const found = (program: string): string => {
    const { stdout, stderr, error } = spawnSync(program, ['-v'], { encoding: 'utf8' })
    if (error) {
      console.error(
        `${program} cannot be started (${error.message}). On Debian: apt-get install -y nginx haproxy`,
      )
      process.exit(2)
    }
    return /\d+\.\d+\.\d+/.exec(stdout + stderr)?.[0] ?? 'of unknown version'
  }
  return `Node ${process.versions.node}, nginx ${found('nginx')}, HAProxy ${found('haproxy')}`
}

async function startRouter(backends: readonly Backend[]): Promise<Proxy> {
  const models = backends.map(({ name, ports }) => [
    name,
    {
      providers: ports.map((port, index) => ({
        id: `${name}-${index}`,
        api_type: 'vllm',
        api_host: `http://127.0.0.1:${port}`,
      })),
    },
  ])
  const config = {
    bench: Object.fromEntries(models),
    active_models: { bench: backends.map(({ name }) => name) },
  }
  return inFolder(JSON.stringify(config), async (file) => {
    const { child, found } = await startChild(
      process.execPath,
      routerArgs(),
      (output) => {
        const port = /listens on http:\/\/127\.0\.0\.1:(\d+)/.exec(output)?.[1]
        return port === undefined ? undefined : Number(port)
      },
      {
        env: {
          LLM_ROUTER_MODELS_CONFIG: file,
          LLM_ROUTER_SERVER_PORT: '0',
          LLM_ROUTER_LOG_FILENAME: '',
          LLM_ROUTER_LOG_LEVEL: 'fatal',
          LLM_ROUTER_EXTERNAL_TIMEOUT: `${timeoutSeconds}`,
        },
      },
    )
    return { child, port: found }
  })
}

function startServer(
  program: string,
  args: (file: string) => string[],
  config: (port: number) => string,
): Promise<Proxy> {
  return freePort().then((port) =>
    inFolder(config(port), async (file) => {
      const { child } = await startChild(program, args(file), () => listening(port))
      return { child, port }
    }),
  )
}

async function inFolder(
  config: string,
  start: (file: string) => Promise<{ child: Child; port: number }>,
): Promise<Proxy> {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-bench-'))
  const file = join(folder, 'config')
  writeFileSync(file, config)
  const remove = (): void => rmSync(folder, { recursive: true })
  try {
    const { child, port } = await start(file)
    return { port, stop: () => child.stop().finally(remove) }
  } catch (error) {
    remove()
    throw error
  }
}
