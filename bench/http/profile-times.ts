/** The parts of Node's `--cpu-prof` output that are read here. */
export interface Profile {
  nodes: ProfileNode[]
  /** Ids of nodes. */
  samples: number[]
  /** Before each sample, in microseconds. */
  timeDeltas: number[]
}

interface ProfileNode {
  id: number
  callFrame: { functionName: string; url: string; lineNumber: number }
  children?: number[]
}

interface Options {
  /** Only the end of the profile counts. */
  lastSeconds: number
  /** The number of requests in this time. */
  requests: number
}

/** Microseconds per request, longest first, without idle time. */
export function selfTimes(
  profile: Profile,
  by: 'file' | 'function',
  options: Options,
): [location: string, us: number][] {
  const times = new Map<string, number>()
  const self = timesOfNodes(profile, options)
  for (const node of profile.nodes) {
    const us = self.get(node.id) ?? 0
    const location = locationOf(node, by)
    if (us > 0 && location !== '(idle)') times.set(location, (times.get(location) ?? 0) + us)
  }
  return sorted(times)
}

/** The same for functions of `src/`, including everything called from them, such as library functions. */
export function totalTimes(profile: Profile, options: Options): [location: string, us: number][] {
  const self = timesOfNodes(profile, options)
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
  const times = new Map<string, number>()
  const walk = (id: number, above: ReadonlySet<string>): number => {
    const node = nodes.get(id)
    if (!node) return 0
    const location = locationOf(node, 'function')
    const isOurs = location.includes(' src/')
    const within = isOurs ? new Set([...above, location]) : above
    const below = (node.children ?? []).reduce((sum, child) => sum + walk(child, within), 0)
    const total = below + (self.get(id) ?? 0)
    // A recursive function counts once.
    if (isOurs && !above.has(location)) times.set(location, (times.get(location) ?? 0) + total)
    return total
  }
  walk(profile.nodes[0]?.id ?? 0, new Set())
  return sorted(times)
}

function timesOfNodes({ samples, timeDeltas }: Profile, options: Options): Map<number, number> {
  const times = new Map<number, number>()
  let left = options.lastSeconds * 1e6
  for (let index = samples.length - 1; index >= 0 && left > 0; index--) {
    const [id = 0, us = 0] = [samples[index], timeDeltas[index]]
    left -= us
    times.set(id, (times.get(id) ?? 0) + us / options.requests)
  }
  return times
}

function locationOf({ callFrame }: ProfileNode, by: 'file' | 'function'): string {
  const { functionName, url, lineNumber } = callFrame
  const file = url.replace(/^.*\/(node_modules|src)\//, '$1/')
  if (by === 'file') return file || functionName
  return `${functionName || '(anonymous)'}${file === '' ? '' : ` ${file}:${lineNumber + 1}`}`
}

function sorted(times: ReadonlyMap<string, number>): [string, number][] {
  return [...times].sort(([, a], [, b]) => b - a)
}
