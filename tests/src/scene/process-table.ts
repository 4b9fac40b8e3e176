/**
 * Processes by their pid: whether one still runs, and ending it the way a crash would.
 */
import { readFileSync } from 'node:fs'
import { until } from './until.js'

/** Number of threads, counted from the state (proc(5)). */
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

function isZombie(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The command, in parentheses, may hold anything: look behind it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const [state = ''] = fields
    return 'ZX'.includes(state) && Number(fields[THREADS_FIELD]) <= 1
  } catch {
    return true
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

export async function untilGone(pids: Iterable<number>, patienceMs?: number): Promise<void> {
  const all = [...pids]
  const areGone = (): boolean => !all.some((pid) => isRunning(pid))
  await until(`the processes ${all.join(', ')} have ended`, areGone, patienceMs)
}
