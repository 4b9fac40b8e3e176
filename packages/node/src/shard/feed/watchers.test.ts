import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { WatchSelection, WriteCall } from '@kv/protocol'
import { atomicCall } from '@kv/protocol'
import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import type { CommittedReads } from '../committed-reads.js'
import { incrementCall, setCall } from '../testing/calls.js'
import { inDirectory } from '../testing/directory.js'
import { ShardUnderTest } from '../testing/shard-under-test.js'
import type { Told } from './testing/recording-sink.js'
import { FROM_CURRENT, FROM_NOW, RecordingSink } from './testing/recording-sink.js'

const ALL = { prefix: '' }
const MUCH = { bytesMax: 100_000_000, ageMsMax: 100_000_000 }

async function inShard(
  use: (under: ShardUnderTest, directory: string) => Promise<void>,
  history = MUCH,
): Promise<void> {
  await inDirectory(async (directory) => {
    const under = await ShardUnderTest.open({ directory, create: true, history })
    try {
      await use(under, directory)
    } finally {
      await under.shard.close()
    }
  })
}

function watching(
  under: ShardUnderTest,
  what: WatchSelection,
  start: ConstructorParameters<typeof RecordingSink>[1] = FROM_NOW,
  room = Infinity,
): RecordingSink {
  const sink = new RecordingSink(what, start)
  sink.room = room
  under.shard.watchers.open(sink.feed, start)
  return sink
}

function untilAttached(sink: RecordingSink): Promise<void> {
  return vi.waitFor(() => expect(sink.attachedAt).toBeDefined(), 5_000)
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await nextTurn()
}

const brief = (told: readonly Told[]): string[] =>
  told.map(({ type, key, revision }) => `${type} ${key} ${revision}`)

describe('feeds at the tail', () => {
  test('sets, counts, deletions → told in order, each once, with revision and value (P6)', () =>
    inShard(async (under) => {
      const sink = watching(under, ALL)
      await under.send([setCall('a', 'one'), setCall('b', 'two'), incrementCall('n', 1)])
      await under.send([
        { type: 'delete', key: 'a' },
        { type: 'delete', key: 'absent' },
      ])
      expect(brief(sink.told)).toEqual(['set a 2', 'set b 3', 'set n 4', 'delete a 5'])
      expect(sink.told[1]?.value).toBe('two')
    }))

  test('only what is watched is told: a key, a list, a prefix', () =>
    inShard(async (under) => {
      const sinks = [{ keys: ['a'] }, { keys: ['b', 'ab'] }, { prefix: 'a' }].map((what) =>
        watching(under, what),
      )
      await under.send([setCall('a', 'x'), setCall('ab', 'x'), setCall('b', 'x')])
      expect(sinks.map(({ told }) => told.map(({ key }) => key))).toEqual([
        ['a'],
        ['ab', 'b'],
        ['a', 'ab'],
      ])
    }))

  test('touch → told nobody; a step of clear and a batch → each key of the one revision', () =>
    inShard(async (under) => {
      const sink = watching(under, ALL)
      await under.send([setCall('a', 'x'), setCall('b', 'x')])
      await under.write({ type: 'touch', key: 'a', ttlMs: 5_000 })
      await under.write(
        atomicCall([setCall('c', 'x'), { type: 'touch', key: 'b', ttlMs: 9 }, setCall('d', 'x')]),
      )
      await under.write({ type: 'clear', shard: 0, from: '', to: undefined })
      expect(brief(sink.told)).toEqual([
        'set a 2',
        'set b 3',
        'set c 5',
        'set d 5',
        ...['a', 'b', 'c', 'd'].map((key) => `delete ${key} 6`),
      ])
    }))

  test('time over: swept → expire; written over before that → expire, then set (P6)', () =>
    inShard(async (under) => {
      const sink = watching(under, ALL)
      const soon = { expiry: { kind: 'ttl', ms: 10 } } as const
      await under.send([setCall('a', 'x', soon), setCall('b', 'x', soon)])
      under.clock.nowMs += 10
      await under.write(setCall('b', 'y'))
      under.shard.onTick()
      await vi.waitFor(() => expect(sink.told.length).toBe(5))
      expect(brief(sink.told).slice(2)).toEqual(['expire b 4', 'set b 4', 'expire a 5'])
    }))

  test('not durable → not told (P1, P6)', () =>
    inShard(async (under) => {
      const sink = watching(under, ALL)
      const { answers } = under.sendUnanswered([setCall('a', 'x')])
      expect(sink.told).toEqual([])
      await answers.at(0)
      expect(sink.told.length).toBe(1)
    }))

  test('the last watcher has gone → the shard knows of none', () =>
    inShard(async (under) => {
      const sink = watching(under, ALL)
      under.shard.watchers.close(sink.feed)
      await under.write(setCall('a', 'x'))
      expect(sink.told).toEqual([])
      expect(Reflect.get(under.shard.watchers, 'feeds')).toBeUndefined()
    }))
})

describe('feeds without room', () => {
  test('parked where they are, then on from the log, in the middle of an entry too (P6, P7)', () =>
    inShard(async (under) => {
      const all = watching(under, ALL)
      const slow = watching(under, ALL, FROM_NOW, 2)
      await under.write(atomicCall([setCall('a', 'x'), setCall('b', 'x'), setCall('c', 'x')]))
      for (let round = 0; round < 20; round += 1) await under.write(setCall(`k${round}`, 'x'))
      expect([slow.told.length, slow.isParked]).toEqual([2, true])
      while (slow.attachedAt === undefined) {
        slow.room = 3
        under.shard.watchers.resume(slow.feed)
        await vi.waitFor(() => expect(slow.isParked || slow.attachedAt !== undefined).toBe(true))
        slow.isParked = false
      }
      expect(brief(slow.told)).toEqual(brief(all.told))
    }))

  test('too far behind for the log → reset, told of nothing else (P6)', () =>
    inShard(
      async (under) => {
        const slow = watching(under, ALL, FROM_NOW, 1)
        await under.write(setCall('a', 'x'))
        await fillAndDropLog(under)
        slow.room = Infinity
        under.shard.watchers.resume(slow.feed)
        await vi.waitFor(() => expect(slow.ended).toBe('trimmed'), 5_000)
        expect(slow.told.length).toBe(1)
        expect(watching(under, ALL, { ...slow.position, frontier: undefined }).ended).toBe(
          'trimmed',
        )
      },
      { bytesMax: 0, ageMsMax: 0 },
    ))
})

/** Writes until the log has let go of its first segment. */
async function fillAndDropLog(under: ShardUnderTest): Promise<void> {
  for (let round = 0; round < 40; round += 1) {
    await under.write(setCall('filler', 'x'.repeat(100_000)))
    if (round % 8 === 7) await under.shard.apply()
  }
  await under.shard.apply()
}

describe('current values first', () => {
  test('all that is there, then attached, then what changes', () =>
    inShard(async (under) => {
      await under.send([setCall('a', '1'), setCall('b', '2'), setCall('x', '3')])
      await under.write({ type: 'delete', key: 'b' })
      await under.shard.apply()
      await under.write(setCall('ab', '4'))
      const sink = watching(under, { prefix: 'a' }, FROM_CURRENT)
      await untilAttached(sink)
      await under.write(setCall('a', '5'))
      expect(brief(sink.told)).toEqual(['current a 2', 'current ab 6', 'set a 7'])
    }))

  test('a list of keys → those that are there', () =>
    inShard(async (under) => {
      await under.send([setCall('a', '1'), setCall('b', '2')])
      const sink = watching(under, { keys: ['b', 'missing', 'a'] }, FROM_CURRENT)
      await untilAttached(sink)
      expect(brief(sink.told)).toEqual(['current a 2', 'current b 3'])
    }))

  test('more than a page, slowly, while keys on both sides of it change → the state, exactly', () =>
    inShard(async (under) => {
      const keys = Array.from({ length: 30 }, (_, index) => `k${String(index).padStart(2, '0')}`)
      await under.send(keys.map((key) => setCall(key, 'old')))
      const sink = watching(under, ALL, FROM_CURRENT, 4)
      for (let round = 0; sink.attachedAt === undefined; round += 1) {
        assert(round < 500)
        await turns(3)
        await under.send([setCall(keys[round % 30] as string, `${round}`), setCall('k', 'x')])
        await under.write({ type: 'delete', key: keys[(round * 7) % 30] as string })
        sink.room = 4
        under.shard.watchers.resume(sink.feed)
      }
      const fresh = watching(under, ALL, FROM_CURRENT)
      await untilAttached(fresh)
      expect(fold(sink.told)).toEqual(fold(fresh.told))
      expect(toldTwice(sink.told)).toEqual([])
    }))

  test('a connection lost after a change behind the frontier → no value twice (P6)', () =>
    inShard(async (under) => {
      await under.send(['a', 'b', 'c', 'd'].map((each) => setCall(each, 'old')))
      const first = watching(under, ALL, FROM_CURRENT, 3)
      await vi.waitFor(() => expect(first.isParked).toBe(true))
      await under.write(setCall('a', 'new'))
      first.room = 1
      under.shard.watchers.resume(first.feed)
      await vi.waitFor(() => expect(first.told.length).toBe(4))
      expect(brief(first.told)).toEqual(['current a 2', 'current b 3', 'current c 4', 'set a 6'])
      under.shard.watchers.close(first.feed)
      const second = watching(under, ALL, { ...first.position, frontier: first.frontier })
      await untilAttached(second)
      expect(brief(second.told)).toEqual(['current d 5'])
    }))

  test('the state can not be read for once → gone, so that the watcher asks again (P6)', () =>
    inShard(async (under) => {
      await under.write(setCall('a', 'x'))
      const reads = Reflect.get(under.shard, 'committed') as CommittedReads
      vi.spyOn(reads, 'page').mockImplementationOnce(() => {
        throw new Error('the disk did not answer')
      })
      const unread = watching(under, ALL, FROM_CURRENT)
      await vi.waitFor(() => expect(unread.ended).toBe('gone'))
      const again = watching(under, ALL, { ...unread.position, frontier: unread.frontier })
      await untilAttached(again)
      expect(brief(again.told)).toEqual(['current a 2'])
      expect(under.failures).toEqual([])
    }))
})

/** Current values of keys of which something had been told before. */
function toldTwice(told: readonly Told[]): string[] {
  const known = new Set<string>()
  return told.flatMap(({ type, key }) => {
    const isAgain = type === 'current' && known.has(key)
    known.add(key)
    return isAgain ? [key] : []
  })
}

function fold(told: readonly Told[]): Map<string, string | undefined> {
  const state = new Map<string, string | undefined>()
  for (const { type, key, value } of told) {
    if (type === 'set' || type === 'current') state.set(key, value)
    else state.delete(key)
  }
  return new Map([...state].toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

// ---- any schedule ----------------------------------------------------------------------------

const key = fc.constantFrom('a', 'ab', 'abc', 'b', 'ba')
const write: fc.Arbitrary<WriteCall> = fc.oneof(
  fc
    .record({ k: key, ms: fc.integer({ min: 0, max: 3 }) })
    .map(({ k, ms }) => setCall(k, `v${ms}`, ms === 0 ? {} : { expiry: { kind: 'ttl', ms } })),
  key.map((k): WriteCall => ({ type: 'delete', key: k })),
  key.map((k): WriteCall => ({ type: 'touch', key: k, ttlMs: 2 })),
  fc
    .array(key, { minLength: 1, maxLength: 4 })
    .map((keys) => atomicCall(keys.map((k) => setCall(k, 'atomic')))),
  fc.constant<WriteCall>({ type: 'clear', shard: 0, from: 'a', to: 'b' }),
)
const what: fc.Arbitrary<WatchSelection> = fc.oneof(
  fc.constantFrom('', 'a', 'ab').map((prefix) => ({ prefix })),
  fc.array(key, { minLength: 1, maxLength: 3 }).map((keys) => ({ keys })),
)
type Step =
  | { readonly kind: 'write'; readonly calls: readonly WriteCall[]; readonly isAwaited: boolean }
  | { readonly kind: 'room' | 'reconnect'; readonly sink: number; readonly room: number }
  | { readonly kind: 'apply' | 'reopen' | 'tick' }
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      calls: fc.array(write, { minLength: 1, maxLength: 4 }),
      isAwaited: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('room' as const, 'reconnect' as const),
      sink: fc.nat(2),
      room: fc.nat(5),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('apply' as const, 'tick' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen' as const) }) },
)

/** One who watches through everything: what was told by all its feeds, end to end. */
class Watcher {
  told: Told[] = []
  sink: RecordingSink
  private readonly what: WatchSelection

  constructor(under: ShardUnderTest, selection: WatchSelection, isInitial: boolean) {
    this.what = selection
    this.sink = watching(under, selection, isInitial ? FROM_CURRENT : FROM_NOW, 0)
  }

  reconnect(under: ShardUnderTest, room: number): void {
    const { position, frontier, told } = this.sink
    under.shard.watchers.close(this.sink.feed)
    this.told.push(...told)
    this.sink = watching(under, this.what, { ...position, frontier }, room)
  }

  async finish(under: ShardUnderTest): Promise<readonly Told[]> {
    this.sink.room = Infinity
    under.shard.watchers.resume(this.sink.feed)
    await untilAttached(this.sink)
    return [...this.told, ...this.sink.told]
  }

  sees(changed: string): boolean {
    return this.what.keys?.includes(changed) ?? changed.startsWith(this.what.prefix ?? '')
  }
}

describe('feeds under any schedule', () => {
  test('slow readers, reconnects, reopening → the log, each change once, in order (P6)', async () => {
    const scenario = fc.record({
      steps: fc.array(step, { maxLength: 40 }),
      selections: fc.tuple(what, what, what),
    })
    await fc.assert(
      fc.asyncProperty(scenario, async ({ steps, selections }) => {
        await inDirectory(async (directory) => {
          let epoch = 1
          const clock = { nowMs: 1_000_000 }
          const open = (create: boolean): Promise<ShardUnderTest> =>
            ShardUnderTest.open({ directory, create, epoch, clock, history: MUCH })
          let under = await open(true)
          const all = new Watcher(under, ALL, false)
          all.sink.room = Infinity
          const watchers = selections.map((each, index) => new Watcher(under, each, index === 2))
          for (const each of steps) {
            if (each.kind === 'write') {
              const { answers } = under.sendUnanswered(each.calls)
              if (each.isAwaited) await answers.at(each.calls.length - 1)
            } else if (each.kind === 'room') {
              const { sink } = watchers[each.sink] as Watcher
              sink.room = each.room
              under.shard.watchers.resume(sink.feed)
            } else if (each.kind === 'reconnect') {
              watchers[each.sink]?.reconnect(under, each.room)
            } else if (each.kind === 'apply') {
              await under.shard.apply()
            } else if (each.kind === 'tick') {
              clock.nowMs += 1
              under.shard.onTick()
            } else {
              await under.shard.close()
              epoch += 1
              under = await open(false)
              for (const watcher of [all, ...watchers]) watcher.reconnect(under, 1)
              all.sink.room = Infinity
            }
            await turns(2)
          }
          // What is over its time is shown to nobody, also before the log says so: now it does.
          await under.write(setCall('end', 'x'))
          under.shard.onTick()
          await under.write(setCall('end', 'y'))
          const log = await all.finish(under)
          for (const [index, watcher] of watchers.entries()) {
            const told = await watcher.finish(under)
            const due = log.filter((each) => watcher.sees(each.key))
            // The last one began with current values, of which the log says nothing.
            const shown = index < 2 ? brief : fold
            expect(shown(told)).toEqual(shown(due))
            expect(toldTwice(told)).toEqual([])
          }
          await under.shard.close()
        })
      }),
      { numRuns: 25 },
    )
  }, 120_000)
})
