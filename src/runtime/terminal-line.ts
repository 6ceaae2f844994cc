import { parseObject } from '../lib/json/read.ts'

type Fields = Readonly<Record<string, unknown>>

/**
 * Formats log lines that are more readable as text than as a message with fields. Returns undefined for other lines, and '' for
 * lines to omit because the startup message has the same information.
 */
export function terminalLine(json: string, { isColored }: { isColored: boolean }): string | undefined {
  const line = parseObject(json) ?? {}
  const text = textOf(line, isColored)
  return text === undefined || text === '' ? text : `${clockTime(line.time)} ${text}\n`
}

function textOf(line: Fields, isColored: boolean): string | undefined {
  switch (line.msg) {
    case 'request':
      return requestText(line, isColored)
    case 'listening':
      return ''
    case 'stopping':
      return stoppingText(line)
    default:
      return undefined
  }
}

/** `POST /v1/chat/completions 200 699 ms llama3.1:8b > gpu1 26+21 tok` */
function requestText(line: Fields, isColored: boolean): string | undefined {
  const { method, endpoint, status, duration_ms: duration, model, target } = line
  if (typeof method !== 'string' || typeof status !== 'number' || typeof duration !== 'number')
    return undefined
  const parts = [method, endpoint, colored(status, isColored), `${Math.round(duration)} ms`]
  if (model !== undefined) parts.push(target === undefined ? model : `${model} > ${target}`)
  const { prompt_tokens: prompt, completion_tokens: completion } = line
  if (prompt !== undefined || completion !== undefined) parts.push(`${prompt ?? 0}+${completion ?? 0} tok`)
  if (typeof line.attempts === 'number') parts.push(`${line.attempts} attempts`)
  if (line.outcome === 'client_gone') parts.push('(client disconnected)')
  if (line.outcome === 'truncated') parts.push('(truncated)')
  const error = line.error ?? line.error_code
  if (error !== undefined) parts.push(`(${error})`)
  return parts.join(' ')
}

function stoppingText({ running, drain_timeout_s: seconds }: Fields): string | undefined {
  if (typeof running !== 'number' || typeof seconds !== 'number') return undefined
  if (running === 0) return 'stopping'
  const limit = seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`
  const responses = `${running} response${running === 1 ? '' : 's'}`
  return `waiting for ${responses}, up to ${limit}; Ctrl-C again to stop now`
}

function colored(status: number, isColored: boolean): string {
  if (!isColored) return String(status)
  const color = status < 400 ? 32 : status < 500 ? 33 : 31
  return `\u001B[${color}m${status}\u001B[39m`
}

/** Local time of day. */
function clockTime(time: unknown): string {
  const date = typeof time === 'string' || typeof time === 'number' ? new Date(time) : new Date()
  const [hours, minutes, seconds] = [date.getHours(), date.getMinutes(), date.getSeconds()]
  return [hours, minutes, seconds].map((part) => String(part).padStart(2, '0')).join(':')
}
