import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../http.ts'
import type { TestRouter } from '../router.ts'
import { missing } from './program.ts'

export interface Prometheus {
  /** The number of series that this query returns now. Throws the error of an invalid query. */
  query(expression: string): Promise<number>
  /** Fulfilled when Prometheus has stored all current metrics of the router. */
  scraped(): Promise<void>
  stop(): Promise<void>
}

/** A real Prometheus that scrapes this router every second, as job `router`. */
export async function startPrometheus({ url: routerUrl, app }: TestRouter): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-prometheus-'))
  const config = {
    global: { scrape_interval: '1s', scrape_timeout: '1s' },
    scrape_configs: [{ job_name: 'router', static_configs: [{ targets: [new URL(routerUrl).host] }] }],
  }
  // JSON is YAML.
  writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify(config))
  const port = await freePort()
  const child = spawn(
    'prometheus',
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  const exit = once(child, 'exit').catch(() => {
    throw missing('prometheus', 'prometheus')
  })
  let output = ''
  while (!output.includes('Server is ready')) {
    const [chunk] = await Promise.race([once(child.stderr, 'data'), exit])
    assert.equal(child.exitCode, null, output)
    output += chunk
  }
  child.stderr.resume()
  const query = async (expression: string): Promise<number> => {
    const body = new URLSearchParams({ query: expression })
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/query`, { method: 'POST', body })
    const { status, error, data } = (await answer.json()) as QueryAnswer
    assert.equal(status, 'success', `${expression}: ${error}`)
    // A division by zero is a number to Prometheus, but a graph shows nothing.
    return data?.result.filter(({ value }) => value[1] !== 'NaN').length ?? 0
  }
  /** Fulfilled with the response to the next scrape as it begins. */
  const scrape = (): Promise<ServerResponse> =>
    new Promise((resolve) => {
      const onRequest = ({ url }: IncomingMessage, answer: ServerResponse): void => {
        if (url !== '/metrics') return
        app.server.off('request', onRequest)
        resolve(answer)
      }
      app.server.on('request', onRequest)
    })
  return {
    query,
    async scraped() {
      for (let hasFinished = false; !hasFinished; ) {
        const answer = await scrape()
        await once(answer, 'close')
        // Prometheus aborts a scrape that takes too long.
        hasFinished = answer.writableFinished
      }
      // It stores a scrape before it starts the next one.
      await scrape()
    },
    async stop() {
      child.kill('SIGKILL')
      await exit
      rmSync(folder, { recursive: true })
    },
  }
}

/** See Prometheus documentation, "HTTP API", instant queries. */
interface QueryAnswer {
  status: string
  error?: string
  data?: { result: { value: [number, string] }[] }
}
