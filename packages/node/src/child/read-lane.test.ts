import type { ReadCall } from '@kv/protocol'
import { BatchBody, KvError } from '@kv/protocol'
import { describe, expect, test } from 'vitest'
import { Connection, UNREAD_BYTES_MAX } from './connection.js'
import { FairTurns } from './fair-turns.js'
import { ReadLane } from './read-lane.js'
import type { ReadReply } from './testing/batches.js'
import { bodyOf, cutBody, gather, readReply, reads, readsBody } from './testing/batches.js'
import { FakeShard, LARGE_BYTES, until } from './testing/fake-shard.js'

const WHOLE = { shard: 0, from: '', to: undefined }
const COUNT: ReadCall = { type: 'count', ...WHOLE }

function get(key: string): ReadCall {
  return { type: 'get', key }
}

interface StartOptions {
  readonly isServed?: boolean
  readonly isBackup?: boolean
  /** Another one, whose turns it shares. */
  readonly beside?: { readonly turns: FairTurns<ReadLane> }
}

function start(options: StartOptions = {}) {
  const { isServed = true, isBackup = false } = options
  const shard = new FakeShard()
  const connection = new Connection(1, 2)
  const clock = { nowMs: 1_000 }
  const messages: { batchId: number; bytes: number; message: Uint8Array }[] = []
  const errors: { batchId: number; error: unknown }[] = []
  const link = { isFull: false }
  const turns =
    options.beside?.turns ??
    new FairTurns<ReadLane>({
      work: (next) => {
        next.onTurn()
      },
      isBlocked: () => link.isFull,
    })
  const lane = new ReadLane(connection, {
    turns,
    copyFor: (_call, kind) =>
      isServed && (!isBackup || kind === 'replicaReads') ? shard.asShard : undefined,
    now: () => clock.nowMs,
    send: (to, batchId, _final, message) => {
      to.sent(message.length)
      messages.push({ batchId, bytes: message.length, message })
    },
    onProtocolError: (to, batchId, error) => {
      errors.push({ batchId, error })
      to.close()
    },
  })
  const counts = new Map<number, number>()
  const take = (id: number, body: BatchBody): void => {
    counts.set(id, body.callCount)
    lane.take({ id, body })
  }
  const replies = (): ReadReply[] =>
    messages.map(({ batchId, message }) => readReply(message, counts.get(batchId) ?? 0))
  const isDone = (id: number): boolean =>
    replies().some(({ batchId, final }) => batchId === id && final)
  const answersTo = (id: number): unknown[] =>
    gather(
      replies().filter(({ batchId }) => batchId === id),
      counts.get(id) ?? 0,
    )
  return {
    shard,
    connection,
    clock,
    turns,
    link,
    messages,
    errors,
    take,
    replies,
    isDone,
    answersTo,
  }
}

describe('read lane: replica reads', () => {
  test('of a copy in sync → answered; an ordinary read of it → moved', () => {
    const lane = start({ isBackup: true })
    lane.take(1, new BatchBody(bodyOf({ kind: 'replicaReads' }, [get('a'), COUNT])))
    lane.take(2, reads([get('a')]))
    expect(lane.answersTo(1)).toEqual(['a', 'count'])
    expect(lane.answersTo(2)).toEqual(['MOVED not-applied'])
  })

  test('keys to be sorted first → as of any copy', async () => {
    const lane = start({ isBackup: true })
    lane.shard.unsorted = 4
    lane.take(1, new BatchBody(bodyOf({ kind: 'replicaReads' }, [get('a'), COUNT])))
    await until(() => lane.isDone(1))
    expect(lane.answersTo(1)).toEqual(['a', 'count'])
  })
})

describe('read lane: a batch', () => {
  test('common → answered in the turn it came, in one message, in call order', () => {
    const lane = start()
    lane.take(5, reads([get('a'), { type: 'has', key: 'b' }, COUNT]))
    expect(lane.replies()).toEqual([
      { batchId: 5, final: true, positions: undefined, answers: ['a', 'b', 'count'] },
    ])
    expect(lane.shard.times).toEqual([1_000, 1_000, 1_000])
  })

  test('a shard that is not served here → moved, each call', () => {
    const lane = start({ isServed: false })
    lane.take(5, reads([get('a'), COUNT]))
    expect(lane.answersTo(5)).toEqual(['MOVED not-applied', 'MOVED not-applied'])
  })

  test('P8: a read that fails → unavailable, with nothing of what it had written', () => {
    const lane = start()
    lane.shard.error = new Error('damaged')
    lane.take(5, reads([get('a'), get('b')]))
    expect(lane.answersTo(5)).toEqual(['UNAVAILABLE not-applied', 'UNAVAILABLE not-applied'])
  })

  test('of very many calls → worked off in slices, while others get their turn', async () => {
    const lane = start()
    const other = start()
    const calls = Array.from({ length: 10_000 }, (_, index) => get(`${index}`))
    lane.take(1, reads(calls))
    lane.take(2, reads([get('behind')]))
    expect(lane.isDone(1)).toBe(false)
    other.take(1, reads([get('a')]))
    expect(other.isDone(1)).toBe(true)
    await until(() => lane.isDone(2))
    expect(lane.answersTo(1)).toEqual(calls.map((_, index) => `${index}`))
    expect(lane.replies().at(-1)?.batchId).toBe(2)
    expect(lane.replies().length).toBeGreaterThan(4)
  })
})

describe('read lane: large replies (P7)', () => {
  test('beyond a part → several parts, every answer once', async () => {
    const lane = start()
    const calls = ['a', 'large 1', 'large 2', 'b', 'c'].map(get)
    lane.take(1, reads(calls))
    await until(() => lane.isDone(1))
    const large = 'x'.repeat(LARGE_BYTES)
    expect(lane.answersTo(1)).toEqual(['a', large, large, 'b', 'c'])
    expect(lane.replies().map(({ final }) => final)).toEqual([false, false, true])
  })

  test('the client takes nothing → the lane stops at the limit, and goes on in order', async () => {
    const lane = start()
    const calls = Array.from({ length: 12 }, (_, index) => get(`large ${index}`))
    lane.take(1, reads(calls))
    lane.take(2, reads([get('behind')]))
    await until(() => !lane.connection.hasRoom)
    let taken = 0
    const sent = (): number => lane.messages.reduce((sum, { bytes }) => sum + bytes, 0)
    for (let round = 0; !lane.isDone(2); round += 1) {
      expect(round).toBeLessThan(20)
      expect(sent() - taken).toBeLessThan(UNREAD_BYTES_MAX + LARGE_BYTES + 1_000)
      const due = sent() - taken
      taken += due
      lane.connection.taken(due)
      await until(() => !lane.connection.hasRoom || lane.isDone(2))
    }
    expect(lane.answersTo(1)).toEqual(calls.map(() => 'x'.repeat(LARGE_BYTES)))
    expect(lane.answersTo(2)).toEqual(['behind'])
    expect(lane.replies().at(-1)?.batchId).toBe(2)
  })

  test('no room when a batch comes → it waits, and nothing is read for it', () => {
    const lane = start()
    lane.connection.sent(UNREAD_BYTES_MAX)
    lane.take(1, reads([get('a')]))
    lane.take(2, reads([get('b')]))
    expect(lane.shard.asked).toEqual([])
    lane.connection.taken(UNREAD_BYTES_MAX)
    expect(lane.replies().map(({ batchId }) => batchId)).toEqual([1, 2])
  })

  test('closed while it waits → nothing more is read or sent', async () => {
    const lane = start()
    lane.take(1, reads(Array.from({ length: 8 }, (_, index) => get(`large ${index}`))))
    lane.take(2, reads([get('behind')]))
    await until(() => !lane.connection.hasRoom)
    const { length } = lane.messages
    lane.connection.close()
    await new Promise((resolve) => void setImmediate(resolve))
    expect(lane.messages).toHaveLength(length)
    expect(lane.shard.asked).not.toContain('get behind')
  })
})

describe('read lane: fair shares (P7)', () => {
  test('pages of very many keys → one a turn; who asks for little is answered between', async () => {
    const greedy = start()
    greedy.shard.keysExamined = 1_500
    greedy.take(1, reads(Array<ReadCall>(50).fill(COUNT)))
    const modest = start({ beside: greedy })
    for (let batch = 1; batch <= 10; batch += 1) {
      const before = greedy.shard.asked.length
      modest.take(batch, reads([get('a')]))
      await until(() => modest.isDone(batch))
      expect(greedy.shard.asked.length - before).toBeLessThanOrEqual(2)
    }
    await until(() => greedy.isDone(1))
    expect(greedy.answersTo(1)).toEqual(Array(50).fill('count'))
  })

  test('one page of few keys after the other → many a turn', () => {
    const lane = start()
    lane.take(1, reads(Array<ReadCall>(50).fill(COUNT)))
    expect(lane.isDone(1)).toBe(true)
    expect(lane.replies()).toHaveLength(1)
  })

  test('the link takes no more → nothing is read; then who asks for little is first', async () => {
    const greedy = start()
    const modest = start({ beside: greedy })
    const large = Array.from({ length: 2 }, (_, index) => get(`large ${index}`))
    greedy.take(1, reads(large))
    await until(() => greedy.isDone(1))
    greedy.link.isFull = true
    greedy.take(2, reads(large))
    modest.take(1, reads([get('a')]))
    await until(() => true)
    expect([greedy.shard.asked.length, modest.shard.asked.length]).toEqual([2, 0])
    greedy.link.isFull = false
    greedy.turns.goOn()
    expect(modest.isDone(1)).toBe(true)
    await until(() => greedy.isDone(2))
  })
})

describe('read lane: ordered reads', () => {
  test('keys to be sorted first → what was answered leaves, the rest follows, in order', async () => {
    const lane = start()
    lane.shard.unsorted = 4
    lane.take(1, reads([get('a'), COUNT, get('b')]))
    lane.take(2, reads([get('behind')]))
    expect(lane.replies()).toEqual([{ batchId: 1, final: false, positions: [0], answers: ['a'] }])
    await until(() => lane.isDone(2))
    expect(lane.shard.asked).toEqual(['get a', 'count', 'get b', 'get behind'])
    expect(lane.answersTo(1)).toEqual(['a', 'count', 'b'])
  })

  test('P3: time went on while keys were sorted → read at the time it is then', async () => {
    const lane = start()
    lane.shard.unsorted = 4
    lane.take(1, reads([COUNT, get('a')]))
    lane.clock.nowMs = 2_000
    await until(() => lane.isDone(1))
    expect(lane.shard.times).toEqual([2_000, 2_000])
  })
})

describe('read lane: a broken protocol', () => {
  test('a call that is none → the connection ends, later batches are not answered', () => {
    const lane = start()
    lane.take(1, cutBody(readsBody([get('a'), get('b')])))
    expect(lane.errors).toMatchObject([{ batchId: 1, error: { code: 'PROTOCOL' } }])
    expect(lane.errors[0]?.error).toBeInstanceOf(KvError)
    expect(lane.messages).toEqual([])
  })

  test('in a batch that is worked off in slices → the same', async () => {
    const lane = start()
    const calls = Array.from({ length: 5_000 }, (_, index) => get(`${index}`))
    lane.take(1, cutBody(readsBody(calls)))
    lane.take(2, reads([get('behind')]))
    await until(() => lane.errors.length > 0)
    expect(lane.errors).toMatchObject([{ batchId: 1, error: { code: 'PROTOCOL' } }])
    expect(lane.isDone(1)).toBe(false)
    await new Promise((resolve) => void setImmediate(resolve))
    expect(lane.shard.asked).not.toContain('get behind')
  })
})
