/** JSON of any dialect, which assertions inspect. */
type Json = ReturnType<typeof JSON.parse>

/** The JSON objects of a stream: the data of its server-sent events, or its lines. Comments and `[DONE]` are left out. */
export function eventsIn(text: string): Json[] {
  const lines = text.split('\n').map((line) => line.replace(/^data: ?/, ''))
  return lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line))
}

/** The lines of a stream of which every line has to be JSON. */
export function linesIn(text: string): Json[] {
  const lines = text.trimEnd().split('\n')
  return lines.map((line) => JSON.parse(line))
}
