import { describe, expect, test } from 'vitest'
import { Log } from './log.js'
import { append, DIRECTORY, framesFrom, openOn, optionsOn, settled } from './testing/log-fixture.js'
import { SimulatedDisk } from './testing/simulated-disk.js'

/** Three of these fill a segment of the fixture. */
const LONG = 'x'.repeat(110)

async function newLog(): Promise<{ disk: SimulatedDisk; log: Log }> {
  const disk = new SimulatedDisk()
  return { disk, log: await Log.create(optionsOn(disk)) }
}

describe('log: segments', () => {
  test('a full segment → the log goes on in the next one, named by its first revision', async () => {
    const { disk, log } = await newLog()
    const appended: string[] = []
    for (let index = 0; index < 8; index += 1) appended.push(await append(log, LONG))
    await log.close()
    expect(disk.paths()).toEqual([
      `${DIRECTORY}/00000000000000000001.log`,
      `${DIRECTORY}/00000000000000000004.log`,
      `${DIRECTORY}/00000000000000000007.log`,
      `${DIRECTORY}/closed`,
    ])
    expect((await openOn(disk)).frames).toEqual(appended)
  })

  test('capacities → double from the first segment up to the maximum', async () => {
    const disk = new SimulatedDisk()
    const sizes = { segmentBytesMin: 10_000, segmentBytesMax: 40_000 }
    const log = await Log.create(optionsOn(disk, sizes))
    for (let index = 0; index < 120; index += 1) await append(log, 'x'.repeat(1000))
    await log.close()
    const capacities = disk
      .paths()
      .slice(0, -1)
      .map((path) => disk.bytesOf(path).length)
    expect(capacities.slice(0, 5)).toEqual([10_000, 20_000, 40_000, 40_000, 40_000])
  })

  test('a frame longer than a segment → gets a segment that is large enough', async () => {
    const { disk, log } = await newLog()
    const appended = [await append(log, 'x'.repeat(50_000)), await append(log, 'y')]
    appended.push(await append(log, 'z'.repeat(100_000)))
    disk.kill()
    expect((await openOn(disk)).frames).toEqual(appended)
  })

  test('a state that holds revisions → earlier segments are not read beyond their header', async () => {
    const { disk, log } = await newLog()
    for (let index = 0; index < 8; index += 1) await append(log, LONG)
    await log.close()
    const reads = new Map<string, number>()
    disk.onOperation = ({ kind, path }) => {
      if (kind === 'read') reads.set(path, (reads.get(path) ?? 0) + 1)
      return undefined
    }
    await openOn(disk, { replayAfter: 3 })
    const [first = '', second = '', third = ''] = disk.paths()
    expect([first, second, third].map((path) => reads.get(path))).toEqual([1, 2, 2])
  })

  test('dropBefore → removes segments that hold nothing from the revision on, never the last', async () => {
    const { disk, log } = await newLog()
    for (let index = 0; index < 8; index += 1) await append(log, LONG)
    const before = log.bytesOnDisk
    await log.dropBefore(6)
    expect(log.firstRevision).toBe(4)
    expect(log.bytesOnDisk).toBe(before - 4608)
    await log.dropBefore(1000)
    expect(log.firstRevision).toBe(7)
    await log.close()
    const { log: again, frames } = await openOn(disk, { replayAfter: 6 })
    expect(frames.map((frame) => frame.slice(0, 3))).toEqual(['1:7', '1:8'])
    expect(again.epochTable).toEqual([{ epoch: 1, firstRevision: 1 }])
    await expect(openOn(disk)).rejects.toMatchObject({ damage: 'starts-late' })
  })

  test('segments that were dropped → stay dropped after a power cut', async () => {
    const { disk, log } = await newLog()
    for (let index = 0; index < 8; index += 1) await append(log, LONG)
    await log.dropBefore(7)
    disk.cutPower(() => 0.9)
    expect(disk.paths().filter((path) => path.endsWith('.log'))).toEqual([
      `${DIRECTORY}/00000000000000000007.log`,
    ])
  })

  test('a segment that cannot be removed → is still in the log, and may be dropped later', async () => {
    const { disk, log } = await newLog()
    for (let index = 0; index < 8; index += 1) await append(log, LONG)
    disk.onOperation = ({ kind }) =>
      kind === 'unlink' ? { kind: 'refuse', code: 'EIO' } : undefined
    await expect(log.dropBefore(7)).rejects.toMatchObject({ code: 'EIO' })
    expect(await framesFrom(log, 1)).toHaveLength(8)
    disk.onOperation = () => undefined
    await log.dropBefore(7)
    expect(await framesFrom(log, 7)).toHaveLength(2)
  })

  test('a last segment without frames → is replaced when it is too small', async () => {
    const { disk, log } = await newLog()
    const appended: string[] = []
    for (let index = 0; index < 3; index += 1) appended.push(await append(log, LONG))
    await settled()
    // The header of the next segment is written, the frame in it is not.
    let writes = 0
    disk.onOperation = ({ kind, mode }) => {
      if (kind === 'write' && mode === 'durable') writes += 1
      return writes === 2 ? { kind: 'refuse', code: 'EIO' } : undefined
    }
    await expect(append(log, 'x'.repeat(300))).rejects.toThrow('failed')
    disk.kill()
    disk.onOperation = () => undefined
    const { log: again } = await openOn(disk)
    appended.push(await append(again, 'x'.repeat(1000)), await append(again, LONG))
    disk.kill()
    const { log: third, frames } = await openOn(disk)
    expect(frames).toEqual(appended)
    expect(await framesFrom(third, 1)).toEqual(appended)
  })

  test('a segment missing between two others → damage', async () => {
    const { disk, log } = await newLog()
    for (let index = 0; index < 8; index += 1) await append(log, LONG)
    await log.close()
    const [, second = ''] = disk.paths()
    disk.remove(second)
    for (const replayAfter of [0, 6]) {
      await expect(openOn(disk, { replayAfter })).rejects.toMatchObject({
        damage: 'missing-segment',
      })
    }
  })

  test('the last segment missing after a clean close → damage', async () => {
    const { disk, log } = await newLog()
    for (let index = 0; index < 8; index += 1) await append(log, LONG)
    await log.close()
    disk.remove(disk.paths()[2] ?? '')
    await expect(openOn(disk)).rejects.toMatchObject({ damage: 'wrong-end' })
  })

  test('a segment under another name → damage', async () => {
    const { disk, log } = await newLog()
    await append(log, 'a')
    disk.kill()
    const [path = ''] = disk.paths()
    disk.place(path.replace('1.log', '2.log'), disk.bytesOf(path))
    disk.remove(path)
    await expect(openOn(disk)).rejects.toMatchObject({ damage: 'misnamed-segment' })
  })
})

describe('log: cut on opening', () => {
  test('frames after a revision → are gone, and others may follow in their place', async () => {
    const { disk, log } = await newLog()
    const appended: string[] = []
    for (let index = 0; index < 8; index += 1) appended.push(await append(log, LONG))
    await log.close()
    for (let cutAfter = 7; cutAfter >= 0; cutAfter -= 1) {
      const { log: cut, frames } = await openOn(disk, { cutAfter })
      expect(frames).toEqual(appended.slice(0, cutAfter))
      expect(cut.lastRevision).toBe(cutAfter)
      disk.kill()
      expect((await openOn(disk)).frames).toEqual(appended.slice(0, cutAfter))
      disk.kill()
    }
    const { log: cut } = await openOn(disk)
    expect(await append(cut, 'other', { epoch: 2 })).toBe('2:1+1 other')
    expect(cut.epochTable).toEqual([{ epoch: 2, firstRevision: 1 }])
  })

  test('power fails at any moment of a cut → a prefix is left, and the cut can be repeated', async () => {
    for (let operations = 0; operations < 40; operations += 1) {
      for (const kept of [0, 0.9]) {
        const { disk, log } = await newLog()
        const appended: string[] = []
        for (let index = 0; index < 12; index += 1) appended.push(await append(log, LONG))
        await log.close()
        let left = operations
        disk.onOperation = () => ((left -= 1) < 0 ? { kind: 'hang' } : undefined)
        void openOn(disk, { cutAfter: 2 })
        await settled()
        disk.onOperation = () => undefined
        let changes = 0
        disk.cutPower(() => ((changes += 1) % 2 === 0 ? kept : 0.9 - kept))
        const { log: prefix, frames } = await openOn(disk)
        expect(frames).toEqual(appended.slice(0, frames.length))
        await prefix.close()
        expect((await openOn(disk, { cutAfter: 2 })).frames).toEqual(appended.slice(0, 2))
      }
    }
  })

  test('a cut inside a frame, below the state or beyond the end → refused, nothing cut', async () => {
    const { disk, log } = await newLog()
    await append(log, 'a', { count: 3 })
    await append(log, 'b')
    await log.close()
    for (const cut of [{ cutAfter: 2 }, { cutAfter: 3, replayAfter: 4 }, { cutAfter: 5 }]) {
      await expect(openOn(disk, cut)).rejects.toMatchObject({ reason: 'cut-out-of-range' })
    }
    expect((await openOn(disk)).frames).toHaveLength(2)
  })
})
