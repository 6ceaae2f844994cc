import type { Config } from '../config/settings.ts'
import type { Model } from '../sdk/target.ts'

/** What a person wants to read at the start: where it listens, and a line to paste. */
export function banner(config: Config, port: number, models: readonly Model[]): string {
  const host = ['0.0.0.0', '::', ''].includes(config.serverHost) ? '127.0.0.1' : config.serverHost
  const base = `http://${host.includes(':') ? `[${host}]` : host}:${port}`
  const names = models.map(({ alias }) => alias)
  const shown = names.slice(0, 8).join(', ') + (names.length > 8 ? `, and ${names.length - 8} more` : '')
  const lines = [`llm-router listens on ${base}`, `models: ${shown || 'none'}`]
  if (config.ui && config.adminPort === 0) lines.push(`status: ${base}/ui`)
  const [first] = names
  if (first !== undefined) {
    const key = config.authEnabled ? " -H 'authorization: Bearer YOUR-KEY'" : ''
    const body = JSON.stringify({ model: first, messages: [{ role: 'user', content: 'Hello' }] })
    lines.push(
      'try:',
      `  curl ${base}/v1/chat/completions -H 'content-type: application/json'${key} -d '${body.replaceAll("'", "'\\''")}'`,
    )
  }
  return `${lines.join('\n')}\n`
}
