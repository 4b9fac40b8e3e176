import { PAGE_ENTRIES_MAX } from '@kv/protocol'
import { describe, expect, test } from 'vitest'
import { MOVED_ANSWER } from '../answer.js'
import { faultOf, incrementCall, readCounterAnswer, readCountAnswer } from '../testing/calls.js'
import { readEntryAnswer, setCall } from '../testing/calls.js'
import { textHeld, textOf } from '../testing/entries.js'
import { HELD_ANSWER_BYTES_MAX } from './answer-order.js'
import { SequencerUnderTest } from '../testing/sequencer-under-test.js'

const ALL = { type: 'clear', shard: 0, from: '', to: undefined } as const

describe('sequencer: one frame in flight', () => {
  test('writes while a frame is being synced → gather and leave as one frame', async () => {
    const { log, under } = start()
    under.set('a')
    under.set('b')
    under.set('c')
    expect(log.frames).toMatchObject([{ firstRevision: 1, count: 1, epoch: 4 }])
    await log.finish()
    expect(log.frames).toMatchObject([{}, { firstRevision: 2, count: 2 }])
  })

  test('writes submitted before a flush → one frame', () => {
    const { log, under } = start()
    under.submit(setCall('a', 'x'))
    under.submit(setCall('b', 'x'))
    under.sequencer.flush()
    under.sequencer.flush()
    expect(log.frames).toMatchObject([{ count: 2 }])
  })

  test('P2: revisions → gapless over frames, from the last one of the log', async () => {
    const { log, under } = start(41)
    for (const key of ['a', 'b', 'c']) under.set(key)
    await log.finish()
    under.set('d')
    await log.finish()
    await log.finish()
    expect(log.frames.map(({ firstRevision, count }) => [firstRevision, count])).toEqual([
      [42, 1],
      [43, 2],
      [45, 1],
    ])
    expect([0, 1, 2, 3].map((position) => under.answerAt(position))).toEqual([42, 43, 44, 45])
  })

  test('P7: a group above half a mebibyte → what follows goes into the next frame', async () => {
    const { log, under } = start()
    under.set('first')
    for (let index = 0; index < 6; index += 1) under.set(`key ${index}`, 'x'.repeat(200_000))
    for (let frame = 0; frame < 3; frame += 1) await log.finish()
    expect(log.frames.map(({ count }) => count)).toEqual([1, 3, 3])
  })

  test('time of the frames → never back, also when the clock does', async () => {
    const { log, under } = start()
    under.set('a')
    under.nowMs = 900
    under.set('b')
    await log.finish()
    expect(log.frames.map(({ timeMs }) => timeMs)).toEqual([1_000, 1_000])
  })

  test('a new epoch → its first entry holds no effects and tells when all before is committed', async () => {
    const { log, under } = start(7)
    under.sequencer.beginEpoch(under.answers)
    expect(log.frames).toMatchObject([{ firstRevision: 8, count: 1, effects: [] }])
    expect(under.answerAt(0)).toBeUndefined()
    await log.finish()
    expect(under.answerAt(0)).toBe(true)
  })
})

describe('sequencer: answers', () => {
  test('P1: a write → answered only once its frame is durable', async () => {
    const { log, under } = start()
    const first = under.set('a')
    const second = under.set('b')
    expect(under.answerAt(first)).toBeUndefined()
    await log.finish()
    expect(under.answerAt(first)).toBe(1)
    expect(under.answerAt(second)).toBeUndefined()
    await log.finish()
    expect(under.answerAt(second)).toBe(2)
  })

  test('P1: a refusal judged on a pending write → waits until that is durable', async () => {
    const { log, under } = start()
    under.set('a', 'pending')
    const refusal = under.call(setCall('a', 'y', { ifVersion: null }))
    expect(under.answerAt(refusal)).toBeUndefined()
    await log.finish()
    expect(readEntryAnswer(under.answerAt(refusal) ?? null)).toMatchObject({
      version: 1,
      text: 'pending',
    })
  })

  test('a refusal with nothing pending → answered at once', () => {
    const { under } = start()
    expect(under.answerAt(under.call({ type: 'delete', key: 'a' }))).toBe(false)
  })

  test('P3: what is pending → looked at by conditions, not committed', async () => {
    const { log, under } = start()
    under.set('a', 'pending')
    expect(under.committed.get('a')).toBeUndefined()
    expect(textOf(under.sequencer.newest('a'))).toBe('pending')
    await log.finish()
    expect(textOf(under.committed.get('a'))).toBe('pending')
  })

  test('P3: a chain of increments in one group → each on the one before', async () => {
    const { log, under } = start()
    const positions = [1, 2, 3].map((by) => under.call(incrementCall('n', by)))
    await log.finish()
    await log.finish()
    const values = positions.map((at) => readCounterAnswer(under.answerAt(at) ?? null))
    expect(values).toEqual([
      [1, 1, 0],
      [3, 2, 0],
      [6, 3, 0],
    ])
  })

  test('P4: a read in order → sees the writes before it, and none before they are durable', async () => {
    const { log, under } = start()
    under.set('a', 'one')
    const read = under.readInOrder(() => Buffer.from(textOf(under.committed.get('a')) ?? ''))
    under.set('a', 'two')
    expect(under.answerAt(read)).toBeUndefined()
    await log.finish()
    expect(under.answerAt(read)).toEqual(Buffer.from('one'))
    await log.finish()
  })

  test('P7: more found than may be held behind a write → OVERLOADED, not applied', async () => {
    const { log, under } = start()
    const write = under.set('a')
    const large = Buffer.alloc(HELD_ANSWER_BYTES_MAX / 4)
    const reads = Array.from({ length: 6 }, () => under.readInOrder(large))
    expect(reads.map((at) => faultOf(under.answerAt(at) ?? null))).toEqual([
      ...Array.from({ length: 4 }, () => undefined),
      'OVERLOADED not-applied',
      'OVERLOADED not-applied',
    ])
    await log.finish()
    expect(under.answerAt(write)).toBe(1)
    expect(reads.slice(0, 4).every((at) => under.answerAt(at) === large)).toBe(true)
    under.set('b')
    expect(under.answerAt(under.readInOrder(large))).toBeUndefined()
    await log.finish()
  })

  test('a read in order with nothing pending → answered at once', () => {
    const { under } = start()
    expect(under.answerAt(under.readInOrder(() => 5))).toBe(5)
  })

  test('P4: answers of a group → in call order', async () => {
    const { log, under } = start()
    under.set('a')
    under.set('b')
    under.call({ type: 'delete', key: 'absent' })
    under.readInOrder(() => null)
    under.set('c')
    await log.finish()
    await log.finish()
    expect(under.answers.order).toEqual([0, 1, 2, 3, 4])
  })
})

describe('sequencer: clear', () => {
  test('committed and pending keys → all of them, but not what a pending delete ended', async () => {
    const { log, under } = start()
    for (const key of ['b', 'c', 'd']) under.set(key)
    await log.finish()
    await log.finish()
    under.call({ type: 'delete', key: 'c' })
    under.set('a')
    under.set('x')
    const cleared = under.call({ ...ALL, to: 'x' })
    await log.finish()
    await log.finish()
    expect(readCountAnswer(under.answerAt(cleared) ?? null)).toEqual({
      count: 3,
      resume: undefined,
    })
    expect(log.frames.at(-1)?.effects.map(({ type, key }) => `${type} ${key}`)).toEqual(
      expect.arrayContaining(['delete a', 'delete b', 'delete d']),
    )
  })

  test('P7: more pending keys than a step may delete → the first ones, and where to go on', async () => {
    const { log, under } = start()
    const keys = Array.from({ length: PAGE_ENTRIES_MAX + 3 }, (_, index) => `key ${1_000 + index}`)
    for (const key of keys) under.submit(setCall(key, 'x'))
    const first = under.submit(ALL)
    const second = under.submit({ ...ALL, from: keys[PAGE_ENTRIES_MAX] as string })
    under.sequencer.flush()
    await log.finish()
    expect(readCountAnswer(under.answerAt(first) ?? null)).toEqual({
      count: PAGE_ENTRIES_MAX,
      resume: keys[PAGE_ENTRIES_MAX],
    })
    expect(readCountAnswer(under.answerAt(second) ?? null)).toEqual({ count: 3, resume: undefined })
  })
})

describe('sequencer: expiry', () => {
  test('keys whose time is over → one entry; others, changed or gone, are left alone', () => {
    const { log, under } = start()
    under.committed.set('due', textHeld('x', 1, { expiresAt: under.nowMs }))
    under.committed.set('later', textHeld('x', 2, { expiresAt: under.nowMs + 1 }))
    under.committed.set('kept', textHeld('x', 3))
    under.sequencer.expire(['due', 'later', 'kept', 'gone'])
    expect(log.frames).toMatchObject([{ count: 1, effects: [{ type: 'expire', key: 'due' }] }])
  })

  test('P6: a key named twice → ended once', () => {
    const { log, under } = start()
    under.committed.set('due', textHeld('x', 1, { expiresAt: under.nowMs }))
    under.sequencer.expire(['due', 'due'])
    expect(log.frames[0]?.effects).toHaveLength(1)
  })

  test('the key was written again, pending → not ended', async () => {
    const { log, under } = start()
    under.committed.set('due', textHeld('x', 1, { expiresAt: under.nowMs }))
    under.set('due', 'new')
    under.sequencer.expire(['due'])
    await log.finish()
    expect(log.frames).toHaveLength(1)
    expect(textOf(under.committed.get('due'))).toBe('new')
  })

  test('nothing due → no frame', () => {
    const { log, under } = start()
    under.sequencer.expire([])
    expect(log.frames).toEqual([])
  })
})

describe('sequencer: memory', () => {
  test('P7: pending bytes → of every frame that is not durable, none afterwards', async () => {
    const { log, under } = start()
    under.set('a', 'x'.repeat(50_000))
    under.set('b', 'x'.repeat(70_000))
    expect(under.sequencer.pendingBytes).toBeGreaterThan(120_000)
    await log.finish()
    await log.finish()
    expect(under.sequencer.pendingBytes).toBe(0)
  })

  test('P7: a touched entry → the copy of its value counts', () => {
    const { under } = start()
    under.committed.set('a', textHeld('x'.repeat(300_000)))
    under.call({ type: 'touch', key: 'a', ttlMs: 5 })
    expect(under.sequencer.pendingBytes).toBeGreaterThan(300_000)
  })
})

describe('sequencer: close', () => {
  test('what was taken → answered first; what comes now → moved', async () => {
    const { log, under } = start()
    const taken = [under.set('a'), under.set('b')]
    let closed = 0
    const closing = Promise.all([
      under.sequencer.close().then(() => (closed += 1)),
      under.sequencer.close().then(() => (closed += 1)),
    ])
    const late = under.set('c')
    expect(under.answerAt(late)).toBe(MOVED_ANSWER)
    await log.finish()
    expect(closed).toBe(0)
    await log.finish()
    await closing
    expect(taken.map((position) => under.answerAt(position))).toEqual([1, 2])
    await under.sequencer.close()
  })

  test('closed → expiry asks for nothing any more', async () => {
    const { log, under } = start()
    under.committed.set('due', textHeld('x', 1, { expiresAt: under.nowMs }))
    await under.sequencer.close()
    under.sequencer.expire(['due'])
    expect(log.frames).toEqual([])
  })
})

function start(lastRevision = 0) {
  const under = new SequencerUnderTest(lastRevision)
  return { under, log: under.log }
}

describe('sequencer: a set over an entry whose time is over', () => {
  test('committed → one entry with both, told apart from a deletion (P6)', async () => {
    const { log, under } = start()
    under.committed.set('due', textHeld('x', 1, { expiresAt: under.nowMs }))
    under.set('due')
    expect(log.frames).toMatchObject([
      {
        count: 1,
        effects: [
          { type: 'expire', key: 'due' },
          { type: 'put', key: 'due' },
        ],
      },
    ])
    await log.finish()
    expect(under.groups.map((group) => group.keys.map((_, at) => group.isExpiry(at)))).toEqual([
      [true, false],
    ])
  })

  test('pending → as well, although nothing committed is over (P6)', () => {
    const { log, under } = start()
    under.earliestEndMs = Infinity
    under.set('other')
    under.call({ ...setCall('due', 'x'), expiry: { kind: 'ttl', ms: 1 } })
    under.nowMs += 1
    under.set('due')
    return log.finish().then(() => {
      expect(log.frames.at(-1)?.effects).toMatchObject([
        { type: 'put', key: 'due' },
        { type: 'expire', key: 'due' },
        { type: 'put', key: 'due' },
      ])
    })
  })

  test('nothing can be over → no entry is looked at', () => {
    const { under } = start()
    under.earliestEndMs = under.nowMs + 1
    under.set('a')
    expect(under.looks).toBe(0)
  })
})
