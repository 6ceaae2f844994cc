/** What the log may say of a bug: name and location, but not the message, which can quote a prompt. */
export function describeBug(thrown: unknown): { error_name: string; error_at?: string | undefined } {
  if (!(thrown instanceof Error)) return { error_name: typeof thrown }
  const frame = /([\w.-]+\/[\w.-]+\.[cm]?[jt]s:\d+)/.exec(thrown.stack?.split('\n').find(isOurs) ?? '')
  return { error_name: thrown.name, error_at: frame?.[1] }
}

/** Whether a stack line is in the router or an extension. */
function isOurs(line: string): boolean {
  return /^\s+at .*[./]/.test(line) && !/\(?node:|\/node_modules\/(?!llm-router\/)/.test(line)
}
