import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

/**
 * Processor time, user and system, that a process and its children have had so far, in microseconds. From
 * `/proc/<pid>/task/<tid>/schedstat`, whose first number is nanoseconds on a processor; `stat` would count in steps of
 * 10 ms. Threads that have ended are not in it. Linux only.
 */
export function processorTimeUs(pid: number): number {
  return treeOf(pid).reduce((sum, each) => sum + threadsOf(each), 0) / 1000
}

/** From now on {@link peakMemoryMb} counts anew (proc(5), `clear_refs`). */
export function resetPeakMemory(pid: number): void {
  for (const each of treeOf(pid)) writeFileSync(`/proc/${each}/clear_refs`, '5')
}

/** The most memory that a process and its children had in RAM, in MB; of each its own highest. */
export function peakMemoryMb(pid: number): number {
  const kilobytes = treeOf(pid).map((each) =>
    Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${each}/status`, 'utf8'))?.[1] ?? 0),
  )
  return kilobytes.reduce((sum, each) => sum + each, 0) / 1024
}

/** The memory that a process and its children have in RAM now, in KB. What the kernel keeps for sockets is not in it. */
export function memoryKb(pid: number): number {
  const kilobytes = treeOf(pid).map((each) =>
    Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${each}/status`, 'utf8'))?.[1] ?? 0),
  )
  return kilobytes.reduce((sum, each) => sum + each, 0)
}

function treeOf(pid: number): number[] {
  const children = tasksOf(pid).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  )
  return [pid, ...children.flatMap(treeOf)]
}

function threadsOf(pid: number): number {
  const times = tasksOf(pid).map((task) =>
    Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]),
  )
  return times.reduce((sum, each) => sum + each, 0)
}

function tasksOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`)
}
