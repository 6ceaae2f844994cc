import { accessSync, constants, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { type Logger, multistream, pino } from 'pino'
import type { Config } from './core/env-config.ts'
import { type FileStream, GatheredLines } from './gathered-lines.ts'

export interface Logging {
  logger: Logger
  /** Opens the log file anew, after logrotate has moved it. */
  reopen(): void
  /** Writes out what is still held, as far as that is possible within a second. Call before the process ends. */
  flush(): Promise<void>
  /**
   * To be called first when the process exits: hands pino what it is to write then, and lets go of what cannot be written,
   * which pino would try for ever.
   */
  atExit(): void
}

/**
 * Bytes of log lines that are written in one piece. Workers share their streams, and of a pipe the system keeps only so much
 * together (`PIPE_BUF`, pipe(7)).
 */
function pieceBytes({ serverType }: Config): number {
  return serverType === 'cluster' ? 4_096 : 65_536
}

/** What cannot be written is held up to this, in bytes; then lines are dropped. */
const maxHeldBytes = 8 * 1024 * 1024
const maxFlushMs = 1_000

/** Log lines to stdout, for people or as JSON, and to the log file, always as JSON. */
export async function createLogging(config: Config, isTerminal: boolean): Promise<Logging> {
  const readable = config.logFormat === 'pretty' || (config.logFormat === 'auto' && isTerminal)
  const gathered = (to: { fd: number } | { dest: string; append: true }): GatheredLines => {
    const maxWrite = pieceBytes(config)
    const options = { ...to, sync: false, minLength: 1, maxLength: maxHeldBytes, maxWrite }
    return new GatheredLines(pino.destination(options), maxWrite)
  }
  // What is for people is written at once.
  const stdout = readable
    ? (await import('pino-pretty')).default({ colorize: isTerminal, ignore: 'pid,hostname', sync: true })
    : gathered({ fd: 1 })
  const fault = config.logFilename === '' ? undefined : faultOfFile(config.logFilename)
  // Lines are appended whole, so several workers may share the file.
  const file =
    config.logFilename === '' || fault ? undefined : gathered({ dest: config.logFilename, append: true })
  // A full disk, or a pipe that nobody reads any more, costs log lines, not requests.
  const stuck = new Set<FileStream>()
  const held = [stdout, file].filter((stream) => stream instanceof GatheredLines)
  for (const { stream } of held) {
    stream.on('error', () => stuck.add(stream))
    stream.on('write', () => stuck.delete(stream))
  }
  const streams = [
    { level: config.logLevel, stream: stdout },
    ...(file ? [{ level: config.logLevel, stream: file }] : []),
  ]
  const logger = pino(
    {
      level: config.logLevel,
      timestamp: isoTime(),
      formatters: { level: (label) => ({ level: label }) },
      serializers: {},
    },
    // Most have but one, which costs less without the search for the right ones.
    file ? multistream(streams) : stdout,
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
      void flushed(file, () => undefined).then(() => file.stream.reopen())
    },
    flush: async () => {
      await Promise.all(held.map((lines) => flushed(lines, () => stuck.add(lines.stream))))
    },
    atExit: () => {
      for (const lines of held) {
        if (stuck.has(lines.stream)) lines.stream.destroy()
        else lines.handOver()
      }
    },
  }
}

/** Times as pino writes them, of which all but the milliseconds stay the same for a second. */
function isoTime(): () => string {
  let second = Number.NaN
  let start = ''
  return () => {
    const now = Date.now()
    const milliseconds = now % 1000
    if (now - milliseconds !== second) {
      second = now - milliseconds
      start = `,"time":"${new Date(second).toISOString().slice(0, -4)}`
    }
    return `${start}${String(milliseconds).padStart(3, '0')}Z"`
  }
}

/** Not `flushSync`, which is not bounded. */
function flushed(lines: GatheredLines, onStuck: () => void): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      onStuck()
      resolve()
    }, maxFlushMs)
    const done = (): void => {
      clearTimeout(timer)
      resolve()
    }
    try {
      lines.handOver()
      lines.stream.flush(done)
    } catch {
      done() // not open yet, or closed already: there is nothing to write
    }
  })
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
