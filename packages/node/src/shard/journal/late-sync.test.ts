import { describe, expect, test } from 'vitest'
import { LateSync, SYNC_LATE_MS_MAX } from './late-sync.js'
import { HandTimer } from './testing/hand-timer.js'

/** A disk whose syncs end when the test says so. */
class SlowDisk {
  readonly timer = new HandTimer()
  readonly failures: Error[] = []
  nowMs = 0
  readonly late: LateSync = new LateSync({
    sync: () => {
      this.syncs += 1
      return new Promise((resolve, reject) => this.underWay.push({ resolve, reject }))
    },
    schedule: this.timer.schedule,
    now: () => this.nowMs,
    onFailure: (error) => this.failures.push(error),
  })
  syncs = 0
  private readonly underWay: { resolve: () => void; reject: (error: Error) => void }[] = []

  async end(): Promise<void> {
    this.underWay.shift()!.resolve()
    await turn()
  }

  async fail(): Promise<void> {
    this.underWay.shift()!.reject(new Error('EIO'))
    await turn()
  }
}

describe('syncs that come later', () => {
  test('nothing is unsynced → no timer runs', async () => {
    const disk = new SlowDisk()
    expect(disk.timer.isRunning).toBe(false)
    disk.late.onWritten(1)
    expect(disk.timer.isRunning).toBe(true)
    disk.timer.fire()
    await disk.end()
    expect(disk.timer.isRunning).toBe(false)
    expect({ syncs: disk.syncs, through: disk.late.syncedThrough }).toEqual({
      syncs: 1,
      through: 1,
    })
  })

  test('what is written while one is under way → is of the next', async () => {
    const disk = new SlowDisk()
    disk.late.onWritten(1)
    disk.timer.fire()
    disk.late.onWritten(2)
    let isSynced = false
    const synced = disk.late.sync().then(() => (isSynced = true))
    await disk.end()
    expect(disk.late.syncedThrough).toBe(1)
    expect(isSynced).toBe(false)
    await disk.end()
    await synced
    expect({ syncs: disk.syncs, through: disk.late.syncedThrough }).toEqual({
      syncs: 2,
      through: 2,
    })
  })

  test('all is synced → nobody waits, and nothing is done', async () => {
    const disk = new SlowDisk()
    await disk.late.sync()
    expect(disk.syncs).toBe(0)
  })

  test('P7: one takes longer than a second → writes wait for its end', async () => {
    const disk = new SlowDisk()
    disk.late.onWritten(1)
    disk.timer.fire()
    disk.nowMs = SYNC_LATE_MS_MAX
    expect(disk.late.late).toBeUndefined()
    disk.nowMs += 1
    expect(disk.late.late).toBeInstanceOf(Promise)
    await disk.end()
    expect(disk.late.late).toBeUndefined()
  })

  test('one fails → none is tried again, and whoever needs one is told', async () => {
    const disk = new SlowDisk()
    disk.late.onWritten(1)
    disk.timer.fire()
    await disk.fail()
    expect(disk.failures).toHaveLength(1)
    disk.late.onWritten(2)
    await expect(disk.late.sync()).rejects.toThrow('EIO')
    expect({ syncs: disk.syncs, isRunning: disk.timer.isRunning }).toEqual({
      syncs: 1,
      isRunning: false,
    })
  })
})

function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}
