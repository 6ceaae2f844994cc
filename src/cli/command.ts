/** What a command may touch of the process that it runs in. */
export interface Surroundings {
  env: Record<string, string | undefined>
  /** Writes to stdout: the result. */
  print(text: string): void
  /** Writes to stderr: what is to be said about it. */
  tell(text: string): void
}

/** Gives the exit code: 0, 1 for "no" or a failure, 2 for a fault in the configuration or the arguments. */
export type Command = (args: readonly string[], surroundings: Surroundings) => Promise<number>
