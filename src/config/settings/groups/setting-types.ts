import { Type } from '@sinclair/typebox'
import { booleanWords } from '../text.ts'

/** Maximum delay of Node's timers: longer ones would fire immediately. */
export const maxTimerMs = 2 ** 31 - 1

/** Values of settings with a fixed choice; settings.ts maps further spellings to them. */
export const choices = {
  logLevel: ['trace', 'debug', 'info', 'warn', 'error', 'fatal'],
  logFormat: ['auto', 'json', 'pretty'],
  serverType: ['single', 'cluster'],
  redisDown: ['local', 'reject'],
  budgetStoreDown: ['allow', 'refuse'],
  useSleeping: ['never', 'fallback'],
  authKeyStore: ['memory', 'redis', 'vault'],
  streamDefault: ['dialect', 'true', 'false'],
} as const

export function text(defaultValue: string, description: string) {
  return Type.String({ default: defaultValue, description })
}

export function flag(defaultValue: boolean, description: string) {
  return Type.Boolean({ default: defaultValue, allowed: booleanWords, description })
}

/** A duration: seconds in the variable, milliseconds in the code. */
export function seconds(options: { default: number; minimum: 0 | 1; maximum?: number; description: string }) {
  const { minimum, maximum = maxTimerMs } = options
  const maxSeconds = Math.floor(maximum / 1000)
  const range = minimum === 0 ? `from 0 to ${maxSeconds}` : `over 0, up to ${maxSeconds}`
  return Type.Integer({ ...options, maximum, unit: 'seconds', allowed: `a number of seconds ${range}` })
}

export function oneOf<const Words extends readonly string[]>(
  choices: Words,
  defaultValue: Words[number],
  description: string,
  allowed?: string,
) {
  const options = { default: defaultValue, description, ...(allowed === undefined ? {} : { allowed }) }
  const literals = choices.map((word) => Type.Literal(word))
  return Type.Unsafe<Words[number]>(Type.Union(literals, options))
}
