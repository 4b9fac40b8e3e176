import { describe, expect, test } from 'vitest'
import type { ProcessTable } from './leftovers.js'
import { KILLED_PATIENCE_MS, LEFTOVER_PATIENCE_MS, endLeftovers } from './leftovers.js'
import type { ProcessIdentity } from './process-identity.js'

/** Processes in virtual time: each lives until its moment, or for a while after SIGKILL. */
class ProcessModel implements ProcessTable {
  nowMs = 0
  readonly killed: number[] = []
  private readonly endsAtMs = new Map<number, number>()
  private readonly killTakesMs: number

  constructor(killTakesMs: number, lives: Readonly<Record<number, number>>) {
    this.killTakesMs = killTakesMs
    for (const [pid, ms] of Object.entries(lives)) this.endsAtMs.set(Number(pid), ms)
  }

  isAlive = async ({ pid }: ProcessIdentity): Promise<boolean> =>
    (this.endsAtMs.get(pid) ?? 0) > this.nowMs

  kill = (pid: number): void => {
    this.killed.push(pid)
    this.endsAtMs.set(pid, this.nowMs + this.killTakesMs)
  }

  delay = async (ms: number): Promise<void> => {
    this.nowMs += ms
  }
}

const known = (pid: number): ProcessIdentity => ({ pid, startedAt: `boot/${pid}` })

describe('leftovers', () => {
  test('none lives → no waiting', async () => {
    const table = new ProcessModel(0, {})
    expect(await endLeftovers([known(1), known(2)], table)).toBe(0)
    expect(table.nowMs).toBe(0)
  })

  test('they end by themselves → waited for, none killed', async () => {
    const table = new ProcessModel(0, { 1: 300, 2: 1_200 })
    expect(await endLeftovers([known(1), known(2)], table)).toBe(0)
    expect(table.nowMs).toBe(1_200)
    expect(table.killed).toEqual([])
  })

  test('one does not → killed once the patience is over, and waited for', async () => {
    const table = new ProcessModel(500, { 1: 300, 2: Infinity })
    expect(await endLeftovers([known(1), known(2)], table)).toBe(1)
    expect(table.killed).toEqual([2])
    expect(table.nowMs).toBe(LEFTOVER_PATIENCE_MS + 500)
  })

  test('one is stuck in the kernel → the start fails and names it (P5)', async () => {
    const table = new ProcessModel(Infinity, { 7: Infinity })
    await expect(endLeftovers([known(7)], table)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('pid 7') as string,
    })
    expect(table.nowMs).toBe(LEFTOVER_PATIENCE_MS + KILLED_PATIENCE_MS)
  })

  test('its start time is unknown → never killed', async () => {
    const table = new ProcessModel(0, { 7: Infinity })
    await expect(endLeftovers([{ pid: 7, startedAt: '' }], table)).rejects.toThrow('pid 7')
    expect(table.killed).toEqual([])
  })
})
