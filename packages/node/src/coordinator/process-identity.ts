/**
 * Names a process so that it can't be mistaken for a later one with the same pid: the pid and the
 * moment the process was started, as the system tells it.
 *
 * On Linux that is the boot and field 22 of `/proc/<pid>/stat` (proc(5)), elsewhere what `ps`
 * prints. Where neither is there it stays unknown, and such a process is never killed by pid.
 */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

export interface ProcessIdentity {
  readonly pid: number
  /** Opaque; equal only for the same process. Empty if the system does not tell. */
  readonly startedAt: string
}

export async function identifyProcess(pid: number): Promise<ProcessIdentity> {
  return { pid, startedAt: (await startOf(pid)) ?? '' }
}

/** Whether that very process still runs. One that has ended and waits to be reaped does not. */
export async function isSameProcessAlive(identity: ProcessIdentity): Promise<boolean> {
  if (identity.startedAt === '') return isPidTaken(identity.pid)
  return (await startOf(identity.pid)) === identity.startedAt
}

function isPidTaken(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** `undefined` if no such process runs, or if the system does not tell. */
async function startOf(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') return startOnLinux(pid)
  if (process.platform === 'win32') return undefined
  try {
    const { stdout } = await promisify(execFile)('ps', ['-o', 'lstart=', '-p', String(pid)])
    return stdout.trim() || undefined
  } catch {
    return undefined
  }
}

async function startOnLinux(pid: number): Promise<string | undefined> {
  try {
    const [stat, boot] = await Promise.all([
      readFile(`/proc/${pid}/stat`, 'utf8'),
      readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
    ])
    const ticks = startTicks(stat)
    return ticks === undefined ? undefined : `${boot.trim()}/${ticks}`
  } catch {
    return undefined
  }
}

/**
 * Field 22 of a stat line; `undefined` for a process that is dead but not reaped.
 *
 * The state, field 3, is that of the main thread. A process that is being killed shows it as dead
 * while other threads are still in the kernel, with everything they have open: until they are
 * gone, too (field 20 counts them), the process is not.
 */
export function startTicks(stat: string): string | undefined {
  // Field 2, the command in parentheses, may hold anything: count from its end.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const isMainThreadDead = fields[3 - 3] === 'Z' || fields[3 - 3] === 'X'
  const threads = Number(fields[20 - 3])
  return isMainThreadDead && threads <= 1 ? undefined : fields[22 - 3]
}
