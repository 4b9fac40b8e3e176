/** What processes, each with its children, cost the machine, as the Linux kernel counts it. */
import { readFileSync } from 'node:fs'

/** The kernel counts in hundredths of a second, whatever it is built with. */
const TICK_MS = 10

const KIB = 1_024

/** A process and all below it, parents first. Throws where there is no `/proc`, or no such process. */
export function processTree(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  const below = children === '' ? [] : children.split(' ').map(Number)
  return [pid, ...below.flatMap(processTree)]
}

/**
 * Milliseconds of CPU, its own and the kernel's for it, that a process and all below it have used;
 * `undefined` where that can't be known.
 */
export function processTimeMs(pid: number): number | undefined {
  return sumOf(pid, ownTimeMs)
}

/**
 * Bytes of memory that a process and all below it hold; `undefined` where that can't be known. Pages
 * of files that are mapped count, as far as they are in memory; what several of the processes share
 * counts in each.
 */
export function processMemoryBytes(pid: number): number | undefined {
  return sumOf(pid, ownMemoryBytes)
}

/** Whether it still runs. One that has ended and that nobody has asked about does not. */
export function isRunning(pid: number): boolean {
  try {
    return !['Z', 'X'].includes(statusFields(pid)[0] as string)
  } catch {
    return false
  }
}

function sumOf(pid: number, own: (pid: number) => number): number | undefined {
  try {
    return processTree(pid).reduce((sum, each) => sum + own(each), 0)
  } catch {
    return undefined
  }
}

function ownTimeMs(pid: number): number {
  // User and system time are the 14th and 15th field of all.
  const fields = statusFields(pid)
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS
}

function ownMemoryBytes(pid: number): number {
  const found = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(found?.[1] ?? 0) * KIB
}

/** From the third on: the second, the name, stands in parentheses and may hold anything. */
function statusFields(pid: number): string[] {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return text.slice(text.lastIndexOf(')') + 2).split(' ')
}
