import { accessSync, constants, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { type Logger, multistream, pino, stdTimeFunctions } from 'pino'
import pretty from 'pino-pretty'
import type { Config } from './core/env-config.ts'

type FileStream = ReturnType<typeof pino.destination>

export interface Logging {
  logger: Logger
  /** Opens the log file anew, after logrotate has moved it. */
  reopen(): void
  /** Writes out what is still held. Call before the process ends. */
  flush(): void
}

/** Lines are written together, at the latest after a tenth of a second: a write for each would cost more than the line. */
const gathered = { sync: false, minLength: 4_096, periodicFlush: 100 } as const

/** Log lines to stdout, for people or as JSON, and to the log file, always as JSON. */
export function createLogging(config: Config, isTerminal: boolean): Logging {
  const readable = config.logFormat === 'pretty' || (config.logFormat === 'auto' && isTerminal)
  const stdout = readable
    ? pretty({ colorize: isTerminal, ignore: 'pid,hostname', sync: true })
    : pino.destination({ fd: 1, ...gathered })
  const fault = config.logFilename === '' ? undefined : faultOfFile(config.logFilename)
  // Lines are appended whole, so several workers may share the file.
  const file: FileStream | undefined =
    config.logFilename === '' || fault
      ? undefined
      : pino.destination({ dest: config.logFilename, append: true, ...gathered })
  // A full disk costs log lines, not requests.
  file?.on('error', () => undefined)
  const streams = [
    { level: config.logLevel, stream: stdout },
    ...(file ? [{ level: config.logLevel, stream: file }] : []),
  ]
  const logger = pino(
    {
      level: config.logLevel,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: {},
    },
    multistream(streams),
  )
  if (fault)
    logger.warn(
      `LLM_ROUTER_LOG_FILENAME: cannot write ${config.logFilename} (${fault}); logging to stdout only`,
    )
  return {
    logger,
    reopen: () => {
      if (!file) return
      // What was logged until now belongs to the file that was moved away.
      flush(file)
      file.reopen()
    },
    flush: () => {
      for (const stream of [stdout, file]) if (stream && 'flushSync' in stream) flush(stream)
    },
  }
}

function flush(stream: FileStream): void {
  try {
    stream.flushSync()
  } catch {
    // Not open yet or closed already: there is nothing to write.
  }
}

function faultOfFile(name: string): string | undefined {
  const path = resolve(name)
  try {
    const exists = statSync(path, { throwIfNoEntry: false })
    if (exists?.isDirectory()) return 'it is a directory'
    accessSync(exists ? path : dirname(path), constants.W_OK)
    return undefined
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'not writable'
  }
}
