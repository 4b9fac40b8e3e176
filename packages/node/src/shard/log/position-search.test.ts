import { describe, expect, test } from 'vitest'
import type { LogFrame } from './frame.js'
import { FRAME_HEADER_BYTES } from './frame.js'
import { Log } from './log.js'
import { LOG_START, positionAfter } from './position.js'
import { append, framesFrom, optionsOn } from './testing/log-fixture.js'
import { SimulatedDisk } from './testing/simulated-disk.js'

/** Long enough that a segment holds few of them. */
const LONG = 'x'.repeat(110)

/** Frames of two revisions each, in several segments. */
async function filledLog(): Promise<{ log: Log; frames: LogFrame[] }> {
  const log = await Log.create(optionsOn(new SimulatedDisk()))
  for (let written = 0; written < 12; written += 1) await append(log, LONG, { count: 2 })
  const frames: LogFrame[] = []
  for await (const frame of log.readFrom(1)) frames.push(frame)
  return { log, frames }
}

describe('log: where a revision is', () => {
  test('every revision → the last frame that ends at or before it', async () => {
    const { log, frames } = await filledLog()
    expect(await log.positionAtOrBefore(0)).toEqual(LOG_START)
    expect(await log.positionAtOrBefore(1)).toEqual(LOG_START)
    for (const frame of frames) {
      const position = positionAfter(frame)
      expect(await log.positionAtOrBefore(position.revision)).toEqual(position)
      expect(await log.positionAtOrBefore(position.revision + 1)).toEqual(position)
    }
    expect(await log.positionAtOrBefore(1_000)).toEqual(log.last)
  })

  test('a log that was trimmed → nothing before its beginning, and the end of what went', async () => {
    const { log, frames } = await filledLog()
    await log.dropBefore(log.lastRevision)
    const before = log.firstRevision - 1
    expect(before).toBeGreaterThan(2)
    expect(await log.positionAtOrBefore(before - 1)).toBeUndefined()
    const last = frames.map(positionAfter).find(({ revision }) => revision === before)
    expect(await log.positionAtOrBefore(before)).toEqual(last)
  })
})

describe('log: a frame that others have, too', () => {
  function bufferOf(text: string): Buffer {
    return Buffer.concat([Buffer.alloc(FRAME_HEADER_BYTES), Buffer.from(text)])
  }
  const meta = { epoch: 1, firstRevision: 1, count: 1, timeMs: 5 }

  test('is told before it is durable, as it will be read', async () => {
    const log = await Log.create(optionsOn(new SimulatedDisk()))
    const told: [LogFrame, number][] = []
    const appended = log.append(bufferOf('a'), 1, meta, {
      onBegin: (frame) => told.push([frame, log.lastRevision]),
    })
    await appended
    const [frame, lastRevision] = told[0]!
    expect(lastRevision).toBe(0)
    expect(positionAfter(frame)).toEqual(log.last)
    expect(frame.body.toString()).toBe('a')
  })

  test('P2: comes out with another checksum → not written', async () => {
    const disk = new SimulatedDisk()
    const log = await Log.create(optionsOn(disk))
    const appended = log.append(bufferOf('a'), 1, meta, { checksum: 1 })
    await expect(appended).rejects.toMatchObject({ cause: { name: 'LogMisuse' } })
    const again = await Log.open({ ...optionsOn(disk), replayAfter: 0, onFrame: () => undefined })
    expect(await framesFrom(again, 1)).toEqual([])
  })
})
