import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

/**
 * Processor time, user and system, that a process and its children have used so far, in microseconds. From
 * `/proc/<pid>/task/<tid>/schedstat`, whose first number is nanoseconds on a processor; `stat` has a resolution of 10 ms.
 * Excludes threads that have ended. Linux only.
 */
export function processorTimeUs(pid: number): number {
  return treeOf(pid).reduce((sum, each) => sum + threadsOf(each), 0) / 1000
}

/** Resets {@link peakMemoryMb} (proc(5), `clear_refs`). */
export function resetPeakMemory(pid: number): void {
  for (const each of treeOf(pid)) writeFileSync(`/proc/${each}/clear_refs`, '5')
}

/** The peak memory of a process and its children in RAM, in MB: the sum of each one's own peak. */
export function peakMemoryMb(pid: number): number {
  const kilobytes = treeOf(pid).map((each) =>
    Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${each}/status`, 'utf8'))?.[1] ?? 0),
  )
  return kilobytes.reduce((sum, each) => sum + each, 0) / 1024
}

/** The current memory of a process and its children in RAM, in KB. Excludes what the kernel keeps for sockets. */
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
