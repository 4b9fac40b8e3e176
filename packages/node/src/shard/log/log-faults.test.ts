import { describe, expect, test } from 'vitest'
import { LogFailed, LogNoRoom } from './errors.js'
import { Log } from './log.js'
import { RETRY_DELAY_MAX_MS, RETRY_DELAY_MIN_MS, type Schedule } from './next-segment.js'
import { append, framesFrom, openOn, optionsOn, settled } from './testing/log-fixture.js'
import { SimulatedDisk, type DiskFault, type DiskOperation } from './testing/simulated-disk.js'

const LONG = 'x'.repeat(110)

async function newLog(): Promise<{ disk: SimulatedDisk; log: Log }> {
  const disk = new SimulatedDisk()
  return { disk, log: await Log.create(optionsOn(disk)) }
}

/** The next operation of the kind fails, later ones do not. */
function failNext(disk: SimulatedDisk, kind: DiskOperation['kind'], fault: DiskFault): void {
  disk.onOperation = (operation) => {
    if (operation.kind !== kind) return undefined
    disk.onOperation = () => undefined
    return fault
  }
}

describe('log: a failed append', () => {
  test.each<DiskFault>([
    { kind: 'refuse', code: 'EIO' },
    { kind: 'refuse', code: 'ENOSPC' },
    { kind: 'lose', code: 'EIO' },
  ])('%o → poisons the log: nothing is written again, the cause is kept', async (fault) => {
    const { disk, log } = await newLog()
    await append(log, 'a')
    failNext(disk, 'write', fault)
    const failed = append(log, 'b')
    await expect(failed).rejects.toBeInstanceOf(LogFailed)
    await expect(failed).rejects.toMatchObject({ cause: { code: 'code' in fault && fault.code } })
    const operations: DiskOperation[] = []
    disk.onOperation = (operation) => void operations.push(operation)
    await expect(append(log, 'b')).rejects.toBe(log.failure)
    await log.close()
    expect(operations).toEqual([])
    expect(log.lastRevision).toBe(1)
  })

  test('the failed frame → may be there after reopening, and is gone when cut', async () => {
    const { disk, log } = await newLog()
    const first = await append(log, 'a')
    failNext(disk, 'write', { kind: 'lose', code: 'EIO' })
    await expect(append(log, 'b')).rejects.toThrow('failed')
    expect((await openOn(disk)).frames).toEqual([first, '1:2+1 b'])
    disk.kill()
    const { log: cut, frames } = await openOn(disk, { cutAfter: 1 })
    expect(frames).toEqual([first])
    expect(await append(cut, 'c', { epoch: 2 })).toBe('2:2+1 c')
  })

  test('pages that look clean after it → are written again before they count', async () => {
    const { disk, log } = await newLog()
    await append(log, 'a')
    failNext(disk, 'write', { kind: 'lose', code: 'EIO' })
    await expect(append(log, 'b')).rejects.toThrow('failed')
    const { log: again, frames } = await openOn(disk)
    const later = await append(again, 'c')
    disk.cutPower(() => 0)
    expect((await openOn(disk)).frames).toEqual([...frames, later])
  })

  test.each(['write', 'rename', 'syncDirectory'] as const)(
    'a roll that fails at %s → poisons the log and loses nothing',
    async (kind) => {
      const { disk, log } = await newLog()
      const appended: string[] = []
      for (let index = 0; index < 3; index += 1) appended.push(await append(log, LONG))
      // Room for the next segment is there; only its beginning fails.
      await settled()
      expect(disk.paths()).toHaveLength(2)
      failNext(disk, kind, { kind: 'refuse', code: 'EIO' })
      await expect(append(log, LONG)).rejects.toBeInstanceOf(LogFailed)
      disk.cutPower(() => 0)
      expect((await openOn(disk)).frames).toEqual(appended)
    },
  )
})

describe('log: a short write', () => {
  test('→ is completed', async () => {
    const { disk, log } = await newLog()
    disk.onOperation = ({ kind }) => (kind === 'write' ? { kind: 'short', bytes: 9 } : undefined)
    const appended = [await append(log, 'a'), await append(log, LONG)]
    disk.cutPower(() => 0)
    disk.onOperation = () => undefined
    expect((await openOn(disk)).frames).toEqual(appended)
  })

  test('of nothing → is a failure, not a wait for ever', async () => {
    const { disk, log } = await newLog()
    disk.onOperation = ({ kind }) => (kind === 'write' ? { kind: 'short', bytes: 0 } : undefined)
    await expect(append(log, 'a')).rejects.toBeInstanceOf(LogFailed)
  })
})

describe('log: a call that hangs', () => {
  test('abandon → the append rejects at once, close does not wait, the log is opened again', async () => {
    const { disk, log } = await newLog()
    const first = await append(log, 'a')
    failNext(disk, 'write', { kind: 'hang' })
    const hung = append(log, 'b')
    const cause = new Error('no answer for 2 s')
    log.abandon(cause)
    await expect(hung).rejects.toMatchObject({ name: 'LogFailed', cause })
    await log.close()
    const { log: again, frames } = await openOn(disk, { cutAfter: 1 })
    expect(frames).toEqual([first])
    await append(again, 'c')
  })
})

describe('log: a call that returns too late', () => {
  test('its bytes → go to a file that the log does not use any more', async () => {
    const disk = new SimulatedDisk()
    // One process: it knows of its call.
    const fileSystem = disk.mount()
    const log = await Log.create(optionsOn(disk, { fileSystem }))
    const first = await append(log, 'a')
    let release = (): void => undefined
    const until = new Promise<void>((resolve) => (release = resolve))
    failNext(disk, 'write', { kind: 'wait', until })
    const late = append(log, 'b'.repeat(60))
    await settled()
    log.abandon(new Error('no answer for 2 s'))
    await expect(late).rejects.toBeInstanceOf(LogFailed)
    const { log: again } = await openOn(disk, { fileSystem })
    const second = await append(again, 'c')
    release()
    await settled()
    expect(await framesFrom(again, 1)).toEqual([first, second])
    disk.kill()
    expect((await openOn(disk)).frames).toEqual([first, second])
  })

  test('an append given up before it was durable → does not count afterwards', async () => {
    const { disk, log } = await newLog()
    await append(log, 'a')
    let release = (): void => undefined
    const until = new Promise<void>((resolve) => (release = resolve))
    failNext(disk, 'write', { kind: 'wait', until })
    const late = append(log, 'b')
    await settled()
    log.abandon(new Error('no answer for 2 s'))
    await expect(late).rejects.toBeInstanceOf(LogFailed)
    const closed = log.close()
    release()
    await closed
    await settled()
    expect(log.lastRevision).toBe(1)
    await expect(append(log, 'b')).rejects.toBe(log.failure)
  })
})

describe('log: a full disk', () => {
  interface FullDisk {
    readonly disk: SimulatedDisk
    readonly log: Log
    readonly delaysMs: number[]
    readonly rooms: number
    readonly fill: () => void
    readonly retry: () => void
  }

  /** A log whose disk fills on `fill`; preparations are tried again on `retry`. */
  async function fullDisk(): Promise<FullDisk> {
    const disk = new SimulatedDisk()
    const delaysMs: number[] = []
    let retry = (): void => undefined
    let rooms = 0
    const schedule: Schedule = (action, delayMs) => {
      delaysMs.push(delayMs)
      retry = action
      return () => undefined
    }
    const onRoom = (): void => void (rooms += 1)
    return {
      disk,
      log: await Log.create(optionsOn(disk, { schedule, onRoom })),
      delaysMs,
      get rooms() {
        return rooms
      },
      fill: () => {
        disk.onOperation = ({ kind, mode }) =>
          kind === 'write' && mode === 'create' ? { kind: 'refuse', code: 'ENOSPC' } : undefined
      },
      retry: () => retry(),
    }
  }

  test('a preparation that fails → appends that still fit go on; nothing is left behind', async () => {
    const { disk, log, fill } = await fullDisk()
    fill()
    const appended = [await append(log, LONG), await append(log, LONG)]
    await settled()
    expect(log.spaceError).toMatchObject({ code: 'ENOSPC' })
    expect(log.hasRoomFor(110)).toBe(true)
    appended.push(await append(log, LONG))
    expect(log.hasRoomFor(110)).toBe(false)
    expect(log.hasRoomFor(10 - 48)).toBe(true)
    expect(disk.paths()).toHaveLength(1)
    disk.kill()
    disk.onOperation = () => undefined
    expect((await openOn(disk)).frames).toEqual(appended)
  })

  test('an append without room → LogNoRoom, the log unharmed, the same frame fits later', async () => {
    const full = await fullDisk()
    const { disk, log } = full
    const appended = [await append(log, 'a')]
    full.fill()
    const long = 'y'.repeat(1000)
    await expect(append(log, long)).rejects.toBeInstanceOf(LogNoRoom)
    await expect(append(log, long)).rejects.toMatchObject({ cause: { code: 'ENOSPC' } })
    expect(log.failure).toBeUndefined()
    appended.push(await append(log, 'still fits'))
    disk.onOperation = () => undefined
    full.retry()
    await settled()
    expect(full.rooms).toBe(1)
    expect([log.spaceError, log.hasRoomFor(1000)]).toEqual([undefined, true])
    appended.push(await append(log, long))
    expect(await framesFrom(log, 1)).toEqual(appended)
    await log.close()
    expect((await openOn(disk)).frames).toEqual(appended)
  })

  test('attempts that go on failing → grow apart up to a bound', async () => {
    const full = await fullDisk()
    full.fill()
    await expect(append(full.log, 'y'.repeat(1000))).rejects.toBeInstanceOf(LogNoRoom)
    for (let attempt = 2; attempt <= 12; attempt += 1) {
      full.retry()
      await settled()
      expect(full.delaysMs).toHaveLength(attempt)
    }
    expect(full.delaysMs.slice(0, 3)).toEqual([1, 2, 4].map((times) => times * RETRY_DELAY_MIN_MS))
    expect(full.delaysMs.at(-1)).toBe(RETRY_DELAY_MAX_MS)
    expect(full.rooms).toBe(0)
  })

  test('a full disk at close → is reported; the log opens as after an unclean end', async () => {
    const full = await fullDisk()
    const first = await append(full.log, 'a')
    full.fill()
    await expect(full.log.close()).rejects.toMatchObject({ code: 'ENOSPC' })
    full.disk.onOperation = () => undefined
    expect((await openOn(full.disk)).frames).toEqual([first])
  })
})

describe('log: a failure while opening', () => {
  /** A log of five frames; of the last one a byte may be wrong, as after a write that was torn. */
  async function ended(how: 'whole' | 'torn'): Promise<{ disk: SimulatedDisk; left: string[] }> {
    const { disk, log } = await newLog()
    const left: string[] = []
    for (let index = 0; index < 5; index += 1) left.push(await append(log, LONG))
    disk.kill()
    if (how === 'whole') return { disk, left }
    const path = disk.paths().findLast((each) => each.endsWith('.log'))!
    const bytes = disk.bytesOf(path)
    const lastByteAt = bytes.findLastIndex((byte) => byte !== 0)
    bytes[lastByteAt]! ^= 1
    disk.place(path, bytes)
    left.pop()
    return { disk, left }
  }

  test.each([
    ['whole', 'open'],
    ['whole', 'read'],
    ['whole', 'write'],
    ['whole', 'syncDirectory'],
    ['torn', 'open'],
    ['torn', 'read'],
    ['torn', 'write'],
    ['torn', 'sync'],
    ['torn', 'rename'],
    ['torn', 'syncDirectory'],
  ] as const)(
    'the last frame is %s, %s fails → open rejects; the next opening finds everything',
    async (how, kind) => {
      const { disk, left } = await ended(how)
      failNext(disk, kind, { kind: 'lose', code: 'EIO' })
      if (kind !== 'write' && kind !== 'sync') failNext(disk, kind, { kind: 'refuse', code: 'EIO' })
      await expect(openOn(disk)).rejects.toMatchObject({ code: 'EIO' })
      disk.cutPower(() => 0)
      expect((await openOn(disk)).frames).toEqual(left)
    },
  )

  test('opening → nothing is served before the last segment and the directory are synced', async () => {
    const { disk, log } = await newLog()
    await append(log, 'a')
    const operationsOfOpening = async (): Promise<string[]> => {
      disk.kill()
      const operations: string[] = []
      disk.onOperation = ({ kind }) => void operations.push(kind)
      const { log: again } = await openOn(disk)
      disk.onOperation = () => undefined
      await again.close()
      return operations
    }
    const afterUncleanEnd = await operationsOfOpening()
    const afterCleanClose = await operationsOfOpening()
    expect(afterUncleanEnd).not.toContain('rename')
    // The segment is open such that a write is durable when it returns.
    expect(afterUncleanEnd.slice(-2)).toEqual(['write', 'syncDirectory'])
    expect(afterCleanClose).not.toContain('rename')
    expect(afterCleanClose.slice(-2)).toEqual(['sync', 'syncDirectory'])
  })
})
