import { describe, expect, test } from 'vitest'
import { absentChild } from './child-state.js'
import { firstTopology } from './node-state.js'
import { recordOf, restoreShards, storedNewShard } from './state-record.js'
import type { StoredTopology } from './stored-records.js'
import { shardOf } from './testing/shards.js'

const PROCESS = { pid: 4_711, startedAt: 'boot/1' }
const TWO = { copies: 2, volumeCount: 2, lostVolumes: [] }

function stored(...shards: StoredTopology['shards']): StoredTopology {
  return { shards } as unknown as StoredTopology
}

const PAIR = {
  epoch: 9,
  primary: 1,
  inSync: { version: 5, members: [0, 1] },
  copies: [
    { volume: 0, child: 1, hosting: 11, isCreated: true },
    { volume: 1, child: 2, hosting: 12, isCreated: true },
  ],
}

describe('state record', () => {
  test('stored and restored → epochs, sets, hosts, numbers, creation; everything closed', () => {
    const shards = [
      shardOf(
        0,
        [
          { phase: 'open', child: 2, volume: 0 },
          { phase: 'opening', child: 1, volume: 1, failures: 4, reason: 'slow' },
        ],
        { epoch: 9, inSync: { version: 3, members: [0] } },
      ),
    ]
    const children = [
      { ...absentChild(1), phase: 'ready' as const, process: PROCESS },
      absentChild(2),
    ]
    const published = firstTopology(1, shards)
    const record = recordOf({ minInSync: 2, shards, children, published })
    expect(record.processes).toEqual([{ child: 1, ...PROCESS }])
    const [restored] = restoreShards(record as StoredTopology, TWO)
    expect(restored).toMatchObject({ epoch: 9, primary: 0, inSync: { version: 3, members: [0] } })
    expect(restored!.copies).toMatchObject([
      { phase: 'closed', child: 2, hosting: 1, volume: 0, isCreated: true },
      { phase: 'closed', child: 1, hosting: 2, volume: 1, isCreated: true, failures: 0 },
    ])
  })

  test('a record of before there were copies → its one copy is in sync', () => {
    const old = { epoch: 3, primary: 0, copies: [{ volume: 0, child: 2, isCreated: true }] }
    const [restored] = restoreShards(stored(old), { copies: 1, volumeCount: 1, lostVolumes: [] })
    expect(restored).toMatchObject({ epoch: 3, inSync: { version: 1, members: [0] } })
    expect(restored!.copies[0]).toMatchObject({ child: 2, hosting: 0, isCreated: true })
  })

  test('more copies than before → they are new, and not in sync', () => {
    const [restored] = restoreShards(stored(PAIR), { ...TWO, copies: 3 })
    expect(restored!.inSync).toEqual(PAIR.inSync)
    expect(restored!.copies[2]).toMatchObject({ copy: 2, hosting: 0, isCreated: false })
  })

  test('a volume is lost → its copies leave the set, and count as not there', () => {
    const [restored] = restoreShards(stored(PAIR), { ...TWO, lostVolumes: [1] })
    expect(restored!.inSync).toEqual({ version: 6, members: [0] })
    expect(restored!.copies[1]).toMatchObject({ phase: 'lost', isCreated: false, hosting: 12 })
  })

  test('the only copy in sync is lost with it → it stays the one that would be needed', () => {
    const alone = { ...PAIR, inSync: { version: 5, members: [1] } }
    const [restored] = restoreShards(stored(alone), { ...TWO, lostVolumes: [1] })
    expect(restored!.inSync).toEqual(alone.inSync)
    expect(restored!.copies[1]).toMatchObject({ phase: 'lost', isCreated: true })
  })

  test('a new shard → its copies on different volumes, all in sync', () => {
    expect(storedNewShard(5, 2, 3)).toMatchObject({
      inSync: { version: 1, members: [0, 1] },
      copies: [{ volume: 2 }, { volume: 0 }],
    })
  })
})
