import { type DestinationStream, type LogFn, type Logger, multistream, pino } from 'pino'
import type { Config } from '../config/settings/settings.ts'
import { LogFile, type LogFileError } from './log-file.ts'
import { LogStream } from './log-stream.ts'
import { terminalLine } from './terminal-line.ts'

/** Message of log lines that are not written. */
export const noText = ''

export interface Logging {
  logger: Logger
  /** Opens the log file again after logrotate has moved it. */
  reopen(): void
  /** Short description of the log file's current problem; undefined if there is none, or no log file. */
  error(): string | undefined
  /** Writes buffered lines, as far as possible within one second. To be called before the process exits. */
  flush(): Promise<void>
  /**
   * To be called first when the process exits. Passes buffered lines to pino's exit handler, and discards lines that cannot be
   * written, which pino would retry forever.
   */
  atExit(): void
}

export interface LoggingOptions {
  isTerminal: boolean
  /** Whether this process reports that the log file cannot be opened; in a cluster, only one does. */
  reportsFileErrors: boolean
}

/**
 * Maximum bytes of log lines per write. Cluster workers share their streams, and writes to a pipe are atomic only up to
 * `PIPE_BUF` (pipe(7)).
 */
function maxWriteBytes({ serverType }: Config): number {
  return serverType === 'cluster' ? 4_096 : 65_536
}

/** Creates a logger that writes to stdout, as text or JSON, and to the log file, always as JSON. */
export async function createLogging(config: Config, options: LoggingOptions): Promise<Logging> {
  const { logFilename: path, logLevel: level } = config
  const stdout = await stdoutFor(config, options.isTerminal)
  if (path === '') {
    return {
      // A single stream is faster without multistream.
      logger: pino(pinoOptions(level), stdout),
      reopen: () => undefined,
      error: () => undefined,
      flush: async () => void (await logStreamOf(stdout)?.flush()),
      atExit: () => logStreamOf(stdout)?.atExit(),
    }
  }
  // Errors of the file cannot be logged to the file itself.
  const toStdout = pino(pinoOptions(level), stdout)
  // Lines are appended whole, so workers can share the file.
  const file = new LogFile({
    path,
    maxWriteBytes: maxWriteBytes(config),
    onChange: (error) => {
      if (error) toStdout.warn(`LLM_ROUTER_LOG_FILENAME: ${textOf(path, error)}`)
      else toStdout.info(`LLM_ROUTER_LOG_FILENAME: ${path} is written again`)
    },
  })
  const { error } = file
  if (error && options.reportsFileErrors) toStdout.warn(`LLM_ROUTER_LOG_FILENAME: ${textOf(path, error)}`)
  const streams = [stdout, file].map((stream) => ({ level, stream }))
  return {
    logger: pino(pinoOptions(level), multistream(streams)),
    reopen: () => file.reopen(),
    error: () => (file.error ? shortTextOf(file.error) : undefined),
    flush: async () => void (await Promise.all([file.flush(), logStreamOf(stdout)?.flush()])),
    atExit: () => {
      file.atExit()
      logStreamOf(stdout)?.atExit()
    },
  }
}

async function stdoutFor(config: Config, isTerminal: boolean): Promise<DestinationStream> {
  const readable = config.logFormat === 'pretty' || (config.logFormat === 'auto' && isTerminal)
  if (!readable) return new LogStream(1, maxWriteBytes(config))
  const { prettyFactory } = await import('pino-pretty')
  const pretty = prettyFactory({
    colorize: isTerminal,
    ignore: 'pid,hostname',
    translateTime: 'SYS:HH:MM:ss',
  })
  // Synchronous, so that lines keep their order relative to other output on the terminal.
  const output = pino.destination({ fd: 1, sync: true })
  output.on('error', () => undefined) // the terminal was closed
  return {
    write(line: string) {
      const text = terminalLine(line, { isColored: isTerminal }) ?? pretty(line)
      if (text !== '') output.write(text)
    },
  }
}

function logStreamOf(stream: DestinationStream): LogStream | undefined {
  return stream instanceof LogStream ? stream : undefined
}

function pinoOptions(level: string) {
  return {
    level,
    timestamp: isoTime(),
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: {},
    hooks: {
      // Used to suppress Fastify's line for each address that it listens on, which cannot be disabled.
      logMethod(this: Logger, args: Parameters<LogFn>, method: LogFn): void {
        if (args[0] !== noText) method.apply(this, args)
      },
    },
  }
}

function textOf(path: string, { failed, code }: LogFileError): string {
  switch (failed) {
    case 'open':
      return `cannot write ${path} (${code}); logging to stdout only`
    case 'reopen':
      return `cannot open ${path} again (${code}); still writing to the previously open file`
    case 'write':
      return `cannot write ${path} (${code}); up to 8 MB of lines are buffered, then dropped`
  }
}

function shortTextOf({ failed, code }: LogFileError): string {
  return failed === 'write'
    ? `the log file cannot be written (${code})`
    : `the log file cannot be opened (${code})`
}

/** Timestamps in pino's format. Everything but the milliseconds is cached for one second. */
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
