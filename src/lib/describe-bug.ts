/** What the log may say of a bug: name and location, but not the message, which can quote a prompt. */
export function describeBug(thrown: unknown): { error_name: string; error_at?: string | undefined } {
  if (!(thrown instanceof Error)) return { error_name: typeof thrown }
  const line = thrown.stack?.split('\n').find(isOurs)
  return { error_name: thrown.name, error_at: line && locationIn(line) }
}

/** Whether a stack line is in the router or an extension. */
function isOurs(line: string): boolean {
  return /^\s+at .*[./]/.test(line) && !/\(?node:|\/node_modules\/(?!llm-router\/)/.test(line)
}

/** Folder, file and line, such as `balancer/reserve.ts:13`, from the end of a stack line. */
function locationIn(line: string): string | undefined {
  const [end = ''] = line.split('/').slice(-2).join('/').split(')')
  const location = end.slice(0, end.lastIndexOf(':'))
  return /^[\w.-]+\/[\w.-]+:\d+$/.test(location) ? location : undefined
}
