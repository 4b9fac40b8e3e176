/** What processes have cost the machine, as the Linux kernel counts it. */
import { readFileSync } from 'node:fs'

/** The kernel counts in hundredths of a second, whatever it is built with. */
const TICK_MS = 10

/**
 * Milliseconds of CPU, its own and the kernel's for it, that a process and its living children have
 * used; `undefined` where there is no `/proc`.
 */
export function processTimeMs(pid: number): number | undefined {
  try {
    return [pid, ...childrenOf(pid)].reduce((sum, each) => sum + ownTimeMs(each), 0)
  } catch {
    return undefined
  }
}

function childrenOf(pid: number): number[] {
  const pids = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  return pids === '' ? [] : pids.split(' ').map(Number)
}

function ownTimeMs(pid: number): number {
  // The name stands in parentheses and may hold anything; user and system time are the 14th and
  // 15th field of all, so the 12th and 13th behind it.
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS
}
