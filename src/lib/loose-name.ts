/** Normalizes a model name as Ollama matches it: case-insensitively, and `m` is `m:latest`. */
export function looseName(name: string): string {
  return name.toLowerCase().replace(/:latest$/, '')
}
