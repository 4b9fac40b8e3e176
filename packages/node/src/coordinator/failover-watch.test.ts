import { NO_CHILD } from '@kv/protocol'
import type { Topology } from '@kv/protocol'
import { describe, expect, test } from 'vitest'
import { FailoverWatch } from './failover-watch.js'
import type { CopyPhase } from './copy-state.js'
import type { ShardState } from './shard-state.js'
import { loneShard } from './testing/shards.js'

function topology(primary: number, epoch: number): Topology {
  const routes = { primaries: [primary], epochs: [epoch], backups: [] }
  return { version: epoch, shardCount: 1, children: [], ...routes }
}

function shards(phase: CopyPhase): ShardState[] {
  return [loneShard(0, { phase })]
}

const NOTHING = { failovers: [], moves: [] }

describe('failover watch', () => {
  test('a primary is lost and another takes over → one failover, with its duration', () => {
    const watch = new FailoverWatch(topology(2, 1))
    expect(watch.onPublish(topology(NO_CHILD, 1), shards('closed'), 100)).toEqual(NOTHING)
    expect(watch.onPublish(topology(1, 2), shards('open'), 180)).toEqual({
      failovers: [{ shard: 0, from: 2, to: 1, epoch: 2, durationMs: 80 }],
      moves: [],
    })
    expect(watch.onPublish(topology(1, 2), shards('open'), 200)).toEqual(NOTHING)
  })

  test('a shard is released and opened elsewhere → a move, no failover', () => {
    const watch = new FailoverWatch(topology(2, 1))
    expect(watch.onPublish(topology(NO_CHILD, 1), shards('releasing'), 100)).toEqual(NOTHING)
    expect(watch.onPublish(topology(1, 2), shards('open'), 180)).toEqual({
      failovers: [],
      moves: [{ shard: 0, from: 2, to: 1, epoch: 2, durationMs: 80 }],
    })
  })

  test('it is released and opened where it was → neither', () => {
    const watch = new FailoverWatch(topology(2, 1))
    expect(watch.onPublish(topology(NO_CHILD, 1), shards('releasing'), 100)).toEqual(NOTHING)
    expect(watch.onPublish(topology(2, 2), shards('open'), 180)).toEqual(NOTHING)
  })

  test('the first opening after a start → no failover', () => {
    const watch = new FailoverWatch(topology(NO_CHILD, 1))
    expect(watch.onPublish(topology(1, 2), shards('open'), 100)).toEqual(NOTHING)
  })
})
