import type { WatchStart, WireEvent } from '@kv/protocol'
import {
  decodeNodeMessage,
  readEvents,
  WireReader,
  WireWriter,
  writeCredits,
  writeUnwatches,
  writeWatch,
} from '@kv/protocol'
import { expect, test, vi } from 'vitest'
import { setCall } from '../shard/testing/calls.js'
import { inDirectory } from '../shard/testing/directory.js'
import { ShardUnderTest } from '../shard/testing/shard-under-test.js'
import { Connection } from './connection.js'
import type { WatchTotals } from './watch-lane.js'
import {
  CHILD_FEEDS_MAX,
  CHILD_WATCHED_KEYS_MAX,
  FEEDS_MAX,
  WATCHED_KEYS_MAX,
  WatchLane,
} from './watch-lane.js'

const HERE = 5
const ELSEWHERE = 3
const FROM_NOW = { epoch: 0, revision: 0, seen: 0, frontier: undefined }
const OF_NO_HISTORY = { epoch: 9, revision: 9_000, seen: 0, frontier: undefined }

/** A connection to a child that serves one shard, and what its client is told. */
class LaneUnderTest {
  readonly told: string[] = []
  readonly lane: WatchLane
  readonly under: ShardUnderTest

  constructor(under: ShardUnderTest, totals: WatchTotals = { feeds: 0, keys: 0 }) {
    this.under = under
    this.lane = new WatchLane(new Connection(1, 11), {
      child: 1,
      totals,
      shardCount: 16,
      shard: (id) => (id === HERE ? under.shard : undefined),
      send: (bytes) => {
        const message = decodeNodeMessage(bytes)
        if (message.type !== 'event') throw new Error(message.type)
        readEvents(new WireReader(message.body), (event) => this.told.push(inShort(event)))
      },
    })
  }

  watch(id: number, starts: readonly WatchStart[], credit: number): void {
    const body = new WireWriter()
    body.array(1)
    writeWatch(body, { id, credit, what: { prefix: '' }, starts })
    this.lane.watch(body.written())
  }

  grant(id: number, bytes: number): void {
    const body = new WireWriter()
    writeCredits(body, [{ id, bytes }])
    this.lane.credit(body.written())
  }

  unwatch(id: number): void {
    const body = new WireWriter()
    writeUnwatches(body, [id])
    this.lane.unwatch(body.written())
  }

  get isWatched(): boolean {
    return Reflect.get(this.under.shard.watchers, 'feeds') !== undefined
  }
}

function inShort(event: WireEvent): string {
  const about = 'key' in event ? ` ${event.key}` : ''
  return `${event.type} ${event.shard}${about}`
}

async function withLane(
  use: (lane: LaneUnderTest) => Promise<void>,
  totals?: WatchTotals,
): Promise<void> {
  await inDirectory(async (directory) => {
    const under = await ShardUnderTest.open({ directory, create: true, shard: HERE })
    const lane = new LaneUnderTest(under, totals)
    try {
      await use(lane)
    } finally {
      lane.lane.close()
      await under.shard.close()
    }
  })
}

/** Waits until this was told since the last time, and nothing else. */
async function untilTold({ told }: LaneUnderTest, events: readonly string[]): Promise<void> {
  await vi.waitFor(() => expect(told).toEqual(events))
  told.length = 0
}

/** What ends before anything else of its subscription has begun. */
const ENDS_AT_ONCE: readonly (readonly [string, string, WatchStart])[] = [
  ['is not here', `gone ${ELSEWHERE}`, { shard: ELSEWHERE, ...FROM_NOW }],
  ['is to be told anew', `reset ${HERE}`, { shard: HERE, ...OF_NO_HISTORY }],
]

test.each(ENDS_AT_ONCE)(
  'a watch whose first shard %s → the others still hear of credit, and of the end (P6, P7)',
  async (_, ended, start) => {
    await withLane(async (lane) => {
      const { under } = lane
      lane.watch(1, [start, { shard: HERE, ...FROM_NOW }], 1)
      await untilTold(lane, [ended, `attached ${HERE}`])
      await under.send([setCall('a', 'x'), setCall('b', 'x')])
      await untilTold(lane, [`set ${HERE} a`, `detached ${HERE}`])
      lane.grant(1, 1_000)
      await untilTold(lane, [`set ${HERE} b`, `attached ${HERE}`])
      lane.unwatch(1)
      expect(lane.isWatched).toBe(false)
    })
  },
)

test('a connection that ends → nothing of its watches is left', async () => {
  await withLane(async (lane) => {
    const starts = [ELSEWHERE, HERE].map((shard) => ({ shard, ...FROM_NOW }))
    lane.watch(1, starts, 1)
    lane.watch(2, starts, 1)
    expect(lane.isWatched).toBe(true)
    lane.lane.close()
    expect(lane.isWatched).toBe(false)
  })
})

test('no room for the last change before the shard is closed → detached, and then gone (P6)', async () => {
  await withLane(async (lane) => {
    const { under } = lane
    lane.watch(1, [{ shard: HERE, ...FROM_NOW }], 1)
    await untilTold(lane, [`attached ${HERE}`])
    // What was taken commits as it closes: both are said in one turn.
    under.sendUnanswered([setCall('a', 'x'), setCall('b', 'x')])
    await under.shard.close()
    await untilTold(lane, [`set ${HERE} a`, `detached ${HERE}`, `gone ${HERE}`])
    expect(lane.isWatched).toBe(false)
  })
})

test('P7: a child with as many watches as it takes → OVERLOADED, the others go on; room comes back', async () => {
  const totals = { feeds: CHILD_FEEDS_MAX - 2, keys: 0 }
  await withLane(async (lane) => {
    lane.watch(1, [{ shard: HERE, ...FROM_NOW }], 1_000)
    await untilTold(lane, [`attached ${HERE}`])
    lane.watch(2, [{ shard: HERE, ...FROM_NOW }], 1_000)
    await untilTold(lane, ['failed 0'])
    await lane.under.send([setCall('a', 'x')])
    await untilTold(lane, [`set ${HERE} a`])
    expect(totals.feeds).toBe(CHILD_FEEDS_MAX - 1)
  }, totals)
  expect(totals).toEqual({ feeds: CHILD_FEEDS_MAX - 2, keys: 0 })
})

test('P7: what one connection may watch → a part of what a child takes', () => {
  expect(FEEDS_MAX).toBeLessThan(CHILD_FEEDS_MAX)
  expect(WATCHED_KEYS_MAX).toBeLessThan(CHILD_WATCHED_KEYS_MAX)
})
