/**
 * Children of a coordinator that was killed: they end by themselves once they notice, but until
 * they have, nothing they may hold can be opened (P5).
 *
 * They are waited for, then killed, then waited for again; a start that can't get rid of them
 * fails. A process whose start time is unknown is only waited for: its pid may be anybody's.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { KvError } from '@kv/protocol'
import type { ProcessIdentity } from './process-identity.js'
import { isSameProcessAlive } from './process-identity.js'

/** How long leftovers may take to finish by themselves. */
export const LEFTOVER_PATIENCE_MS = 5_000

/** How long a killed process may take to be gone; longer means it is stuck in the kernel. */
export const KILLED_PATIENCE_MS = 10_000

const POLL_MS = 25

/** The operating system as this file needs it; tests bring their own. */
export interface ProcessTable {
  readonly isAlive: (identity: ProcessIdentity) => Promise<boolean>
  readonly kill: (pid: number) => void
  readonly delay: (ms: number) => Promise<unknown>
}

const SYSTEM: ProcessTable = {
  isAlive: isSameProcessAlive,
  kill: (pid) => {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It has ended in between.
    }
  },
  delay,
}

/** Resolves once none of them runs; how many had to be killed. */
export async function endLeftovers(
  leftovers: readonly ProcessIdentity[],
  table: ProcessTable = SYSTEM,
): Promise<number> {
  const stubborn = await waitForEnd(leftovers, LEFTOVER_PATIENCE_MS, table)
  const killed = stubborn.filter((leftover) => leftover.startedAt !== '')
  for (const leftover of killed) table.kill(leftover.pid)
  const alive = await waitForEnd(stubborn, KILLED_PATIENCE_MS, table)
  if (alive.length > 0) {
    const pids = alive.map((leftover) => leftover.pid).join(', ')
    throw new KvError(
      'UNAVAILABLE',
      `children of an earlier coordinator still run (pid ${pids}): end them, then start again`,
      { outcome: 'not-applied' },
    )
  }
  return killed.length
}

/** Those that still run when the patience is over. */
async function waitForEnd(
  leftovers: readonly ProcessIdentity[],
  patienceMs: number,
  table: ProcessTable,
): Promise<readonly ProcessIdentity[]> {
  let alive = await stillAlive(leftovers, table)
  for (let waitedMs = 0; alive.length > 0 && waitedMs < patienceMs; waitedMs += POLL_MS) {
    await table.delay(POLL_MS)
    alive = await stillAlive(alive, table)
  }
  return alive
}

async function stillAlive(
  leftovers: readonly ProcessIdentity[],
  table: ProcessTable,
): Promise<readonly ProcessIdentity[]> {
  const alive = await Promise.all(leftovers.map((leftover) => table.isAlive(leftover)))
  return leftovers.filter((_, index) => alive[index])
}
