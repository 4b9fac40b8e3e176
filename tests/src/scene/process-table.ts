/**
 * Processes by their pid: whether one still runs, and ending it the way a crash would.
 */
import { readFileSync } from 'node:fs'
import { until } from './until.js'

/** Counted from the state (proc(5)). */
const STATE_FIELD = 0
const PARENT_FIELD = 1
const THREADS_FIELD = 17

/**
 * One that has ended and waits to be reaped does not run any more. One whose main thread has ended
 * still does while others have not: they may hold what it had open.
 */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
  return process.platform !== 'linux' || !isZombie(pid)
}

/** Whether it stands still by a signal. Where the system does not tell it is taken for so. */
export function isStopped(pid: number): boolean {
  return process.platform !== 'linux' || statOf(pid)?.[STATE_FIELD] === 'T'
}

function isZombie(pid: number): boolean {
  const fields = statOf(pid)
  if (fields === undefined) return true
  return 'ZX'.includes(fields[STATE_FIELD] ?? '') && Number(fields[THREADS_FIELD]) <= 1
}

function statOf(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The command, in parentheses, may hold anything: look behind it.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}

/** What of its memory is in that of the machine; 0 if it is gone, or this is no Linux. */
export function residentBytes(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1_024
  } catch {
    return 0
  }
}

/** The same without pages of files that are mapped, which the system takes back when it needs them. */
export function ownBytes(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    return Number(/RssAnon:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1_024
  } catch {
    return 0
  }
}

/** kill -9. A process that is gone already is left in peace. */
export function killNow(pid: number): void {
  if (pid <= 0) throw new RangeError(`${pid} is not the pid of one process`)
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** Rejects with who still runs, and in what state the system has them: `D` is stuck in the kernel. */
export async function untilGone(pids: Iterable<number>, patienceMs?: number): Promise<void> {
  const all = [...pids]
  const areGone = (): boolean => !all.some((pid) => isRunning(pid))
  try {
    await until(`the processes ${all.join(', ')} have ended`, areGone, patienceMs)
  } catch (error) {
    const left = all.filter((pid) => isRunning(pid)).map((pid) => describe(pid))
    throw new Error(`${(error as Error).message}; ${left.join('; ')}`, { cause: error })
  }
}

function describe(pid: number): string {
  const fields = statOf(pid)
  if (fields === undefined) return `${pid} runs`
  const parent = `its parent is ${fields[PARENT_FIELD]}`
  return `${pid} is in state ${fields[STATE_FIELD]} with ${fields[THREADS_FIELD]} threads, ${parent}`
}
