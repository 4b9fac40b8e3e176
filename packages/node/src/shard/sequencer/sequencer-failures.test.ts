import { describe, expect, test } from 'vitest'
import { LogFailed, LogNoRoom } from '../log/errors.js'
import { faultOf, setCall } from '../testing/calls.js'
import { textHeld, textOf } from '../testing/entries.js'
import { SequencerUnderTest } from '../testing/sequencer-under-test.js'

const NO_SPACE = 'NO_SPACE not-applied'
const UNKNOWN = 'UNAVAILABLE unknown'
const MOVED = 'MOVED not-applied'

function faultAt(under: SequencerUnderTest, position: number): string | undefined {
  return faultOf(under.answerAt(position))
}

describe('sequencer: the log fails', () => {
  test('P1: the frame in flight → unknown; what gathered → moved, so that it is sent again', async () => {
    const under = new SequencerUnderTest()
    const inFlight = under.set('a')
    const refusal = under.call(setCall('a', 'y', { ifVersion: null }))
    const gathered = under.set('b')
    const read = under.readInOrder(() => 1)
    await under.log.fail(new LogFailed('broken'))
    expect([inFlight, refusal, gathered, read].map((at) => faultAt(under, at))).toEqual([
      UNKNOWN,
      UNKNOWN,
      MOVED,
      MOVED,
    ])
  })

  test('afterwards → nothing more is written, and the shard is told once', async () => {
    const under = new SequencerUnderTest()
    under.set('a')
    under.set('b')
    const error = new LogFailed('broken')
    await under.log.fail(error)
    const late = under.set('c')
    under.committed.set('due', textHeld('x', 1, { expiresAt: 1 }))
    under.sequencer.expire(['due'])
    under.sequencer.flush()
    expect(faultAt(under, late)).toBe(MOVED)
    expect(under.log.frames).toHaveLength(1)
    expect(under.failures).toEqual([error])
    await under.sequencer.close()
  })

  test('P3: the write in doubt → neither committed nor judged on', async () => {
    const under = new SequencerUnderTest()
    under.committed.set('a', textHeld('old'))
    under.set('a', 'new')
    await under.log.fail(new LogFailed('broken'))
    expect(textOf(under.sequencer.newest('a'))).toBe('old')
    expect(textOf(under.committed.get('a'))).toBe('old')
    expect(under.sequencer.pendingBytes).toBe(0)
  })

  test('a close that waits → ends', async () => {
    const under = new SequencerUnderTest()
    under.set('a')
    const closing = under.sequencer.close()
    await under.log.fail(new LogFailed('broken'))
    await expect(closing).resolves.toBeUndefined()
  })

  test('the first entry of an epoch → the opening is told', async () => {
    const under = new SequencerUnderTest()
    under.sequencer.beginEpoch(under.answers)
    await under.log.fail(new LogFailed('broken'))
    expect(faultAt(under, 0)).toBe(UNKNOWN)
  })
})

describe('sequencer: the log has no room', () => {
  test('known before the frame leaves → everything gathered is refused, not applied', () => {
    const under = new SequencerUnderTest()
    under.log.hasRoom = false
    under.log.spaceError = new Error('disk full')
    under.submit(setCall('a', 'x'))
    under.submit(setCall('b', 'x'))
    under.sequencer.flush()
    expect([0, 1].map((at) => faultAt(under, at))).toEqual([NO_SPACE, NO_SPACE])
    expect(under.log.frames).toEqual([])
    expect(under.failures).toEqual([])
    expect(under.sequencer.newest('a')).toBeUndefined()
  })

  test('P2: room again → the next write takes the revision that was given up', async () => {
    const under = new SequencerUnderTest(10)
    under.log.hasRoom = false
    under.set('a')
    under.log.hasRoom = true
    const after = under.set('b')
    expect(under.log.frames).toMatchObject([{ firstRevision: 11, count: 1 }])
    await under.log.finish()
    expect(under.answerAt(after)).toBe(11)
  })

  test('found out by the append → its frame and what gathered are refused, in order', async () => {
    const under = new SequencerUnderTest(10)
    under.set('a')
    under.set('b')
    under.call({ type: 'delete', key: 'a' })
    const read = under.readInOrder(() => 1)
    await under.log.fail(new LogNoRoom('no room'))
    expect([0, 1, 2, read].map((at) => faultAt(under, at))).toEqual(Array(4).fill(NO_SPACE))
    expect(under.answers.order).toEqual([0, 1, 2, 3])
    const after = under.set('c')
    expect(under.log.frames.at(-1)).toMatchObject({ firstRevision: 11 })
    await under.log.finish()
    expect(under.answerAt(after)).toBe(11)
    expect(under.failures).toEqual([])
  })

  test('P1: the frame before it → still committed and answered', async () => {
    const under = new SequencerUnderTest()
    const first = under.set('a')
    const second = under.set('b')
    under.log.hasRoom = false
    await under.log.finish()
    expect(under.answerAt(first)).toBe(1)
    expect(faultAt(under, second)).toBe(NO_SPACE)
    expect(textOf(under.committed.get('a'))).toBe('x')
    expect(under.committed.get('b')).toBeUndefined()
  })

  test('P3: an entry judged on what is given up → is given up with it', async () => {
    const under = new SequencerUnderTest()
    under.set('a')
    under.set('n', '5')
    under.call({ type: 'touch', key: 'n', ttlMs: 100 })
    under.log.hasRoom = false
    await under.log.finish()
    under.log.hasRoom = true
    expect(under.sequencer.newest('n')).toBeUndefined()
    expect(under.answerAt(under.call({ type: 'delete', key: 'n' }))).toBe(false)
  })

  test('a close that waits → ends', async () => {
    const under = new SequencerUnderTest()
    under.set('a')
    const closing = under.sequencer.close()
    await under.log.fail(new LogNoRoom('no room'))
    await expect(closing).resolves.toBeUndefined()
  })
})
