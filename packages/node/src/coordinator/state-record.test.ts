import { expect, test } from 'vitest'
import { absentChild } from './child-state.js'
import { firstTopology } from './node-state.js'
import { closedShard } from './shard-state.js'
import { recordOf, restoreShards } from './state-record.js'
import type { StoredTopology } from './stored-records.js'

const PROCESS = { pid: 4_711, startedAt: 'boot/1' }

test('state record: stored and restored → epochs, hosts and creation; everything closed', () => {
  const shards = [
    closedShard(0, { phase: 'open', child: 2, epoch: 9, isCreated: true }),
    closedShard(1, { phase: 'opening', child: 1, epoch: 1, failures: 4, reason: 'slow' }),
  ]
  const children = [
    { ...absentChild(1), phase: 'ready' as const, process: PROCESS },
    absentChild(2),
  ]
  const record = recordOf({ shards, children, published: firstTopology(1, shards) })
  expect(record.processes).toEqual([{ child: 1, ...PROCESS }])
  expect(restoreShards(record as StoredTopology)).toEqual([
    closedShard(0, { child: 2, epoch: 9, isCreated: true }),
    closedShard(1, { child: 1, epoch: 1 }),
  ])
})
