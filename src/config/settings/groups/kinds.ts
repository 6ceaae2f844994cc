import { Type } from '@sinclair/typebox'
import { booleanWords } from '../text.ts'

/** Node's timers hold 31 bits of milliseconds; a longer one would fire immediately. */
export const maxTimerMs = 2 ** 31 - 1

/** The words that settings with a fixed choice accept; settings.ts maps other spellings to them. */
export const words = {
  logLevel: ['trace', 'debug', 'info', 'warn', 'error', 'fatal'],
  logFormat: ['auto', 'json', 'pretty'],
  serverType: ['single', 'cluster'],
  redisDown: ['local', 'reject'],
  budgetStoreDown: ['allow', 'refuse'],
  useSleeping: ['never', 'fallback'],
  authKeyStore: ['memory', 'redis', 'vault'],
  streamDefault: ['dialect', 'true', 'false'],
} as const

export function text(preset: string, description: string) {
  return Type.String({ default: preset, description })
}

export function flag(preset: boolean, description: string) {
  return Type.Boolean({ default: preset, allowed: booleanWords, description })
}

/** The code uses milliseconds; the variable is in seconds. */
export function seconds(options: { default: number; minimum: 0 | 1; maximum?: number; description: string }) {
  const { minimum, maximum = maxTimerMs } = options
  const most = Math.floor(maximum / 1000)
  const range = minimum === 0 ? `from 0 to ${most}` : `over 0, up to ${most}`
  return Type.Integer({ ...options, maximum, unit: 'seconds', allowed: `a number of seconds ${range}` })
}

export function oneOf<const Words extends readonly string[]>(
  choices: Words,
  preset: Words[number],
  description: string,
  allowed?: string,
) {
  const options = { default: preset, description, ...(allowed === undefined ? {} : { allowed }) }
  const literals = choices.map((word) => Type.Literal(word))
  return Type.Unsafe<Words[number]>(Type.Union(literals, options))
}
