/** The dialect that a path looks like, where no route says it: decides the form of an error. */
export function dialectOfPath(path: string, prefix: string): 'openai' | 'anthropic' | 'ollama' {
  if (path.startsWith('/v1/messages') || path.startsWith(`${prefix}/v1/messages`)) return 'anthropic'
  const isOllama = path.startsWith('/api/') || (prefix !== '' && path.startsWith(`${prefix}/`))
  return isOllama ? 'ollama' : 'openai'
}
