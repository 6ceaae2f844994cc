/** The header that names what the chosen upstream could not carry; none where it carried all. */
export function droppedHeader(dropped: ReadonlyMap<string, string>): Record<string, string> {
  return dropped.size === 0 ? {} : { 'x-llm-router-lost': droppedNames(dropped).join(', ') }
}

const none: readonly string[] = []

/** Field names can come from the client's body: bounded in number and length, and of what a header may hold. */
export function droppedNames(dropped: ReadonlyMap<string, string>): readonly string[] {
  if (dropped.size === 0) return none
  const names = [...dropped.keys()].slice(0, 32)
  return names.map((name) => name.slice(0, 64).replaceAll(/[^\w.[\]-]/g, '_'))
}
