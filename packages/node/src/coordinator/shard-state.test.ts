import { describe, expect, test } from 'vitest'
import type { SetRequest, ShardState } from './shard-state.js'
import {
  becomePrimary,
  hasPrimary,
  judgeSetRequest,
  nextHosting,
  shardPhase,
  shardReason,
  withCreatedMembers,
} from './shard-state.js'
import { loneShard, openShard, shardOf } from './testing/shards.js'

/** Primary 0 on child 1, backup 1 on child 2 in sync, backup 2 on child 3 not. */
const SHARD = shardOf(
  7,
  [
    { phase: 'open', child: 1 },
    { phase: 'open', child: 2 },
    { phase: 'open', child: 3 },
  ],
  { epoch: 4, inSync: { version: 6, members: [0, 1] } },
)

function asked(changes: Partial<SetRequest>): ShardState {
  const change = { type: 'add', copy: 2, hosting: 3 } as const
  return judgeSetRequest(SHARD, { child: 1, epoch: 4, version: 6, change, ...changes })
}

describe('shard state: the set in sync', () => {
  test('a hosted backup has caught up → it joins, under the next version', () => {
    expect(asked({}).inSync).toEqual({ version: 7, members: [0, 1, 2] })
  })

  test('it joins before it was heard to be open → its files exist all the same', () => {
    const early = shardOf(
      7,
      [
        { phase: 'open', child: 1 },
        { phase: 'opening', child: 2, isCreated: false },
      ],
      { inSync: { version: 1, members: [0] } },
    )
    const change = { type: 'add', copy: 1, hosting: 2 } as const
    const joined = judgeSetRequest(early, { child: 1, epoch: 1, version: 1, change })
    expect(joined.inSync.members).toEqual([0, 1])
    expect(joined.copies[1]!.isCreated).toBe(true)
  })

  test('a member does not keep up → it leaves, whether anybody hosts it or not', () => {
    const change = { type: 'remove', copy: 1, hosting: 0 } as const
    expect(asked({ change }).inSync).toEqual({ version: 7, members: [0] })
  })

  const refused: [string, Partial<SetRequest>][] = [
    ['another hosting of it', { change: { type: 'add', copy: 2, hosting: 2 } }],
    ['a copy that there is not', { change: { type: 'add', copy: 9, hosting: 3 } }],
    ['the primary itself', { change: { type: 'remove', copy: 0, hosting: 0 } }],
  ]
  for (const [name, change] of refused) {
    test(`${name} → the same members under a new version: the question is answered`, () => {
      expect(asked(change).inSync).toEqual({ version: 7, members: [0, 1] })
    })
  }

  test('a former primary, a former epoch, a former set → nothing changes', () => {
    for (const late of [{ child: 2 }, { epoch: 3 }, { version: 5 }]) {
      expect(asked(late)).toBe(SHARD)
    }
  })

  test('the primary serves → what is in the set exists', () => {
    const fresh = shardOf(0, [{ isCreated: false }, { isCreated: false }, { isCreated: false }], {
      inSync: { version: 1, members: [0, 2] },
    })
    const created = withCreatedMembers(fresh).copies.map(({ isCreated }) => isCreated)
    expect(created).toEqual([true, false, true])
  })
})

describe('shard state: promotion', () => {
  const inSync = { version: 7, members: [1] }
  const next = { copy: 1, child: 2, hosting: 2, epoch: 5, inSync, atMs: 1 }

  test('another copy is primary somewhere → refused (P5)', () => {
    expect(() => becomePrimary(SHARD, next)).toThrow('has a primary')
  })

  test('a copy that is not in sync → refused (P1)', () => {
    const orphan = {
      ...SHARD,
      copies: SHARD.copies.with(0, { ...SHARD.copies[0]!, phase: 'closed' }),
    }
    expect(() => becomePrimary(orphan as ShardState, { ...next, copy: 2, child: 3 })).toThrow(
      'lacks',
    )
  })

  test('nobody is primary → epoch, primary, set and what was told, at once', () => {
    const orphan: ShardState = {
      ...SHARD,
      copies: SHARD.copies.with(0, { ...SHARD.copies[0]!, phase: 'closed' }),
    }
    const promoted = becomePrimary(orphan, next)
    expect(promoted).toMatchObject({ epoch: 5, primary: 1, inSync: next.inSync, toldVersion: 7 })
    expect(promoted.copies[1]).toMatchObject({ phase: 'opening', role: 'primary', hosting: 2 })
    expect(hasPrimary(promoted)).toBe(true)
  })

  test('the number of the next hosting → above those of all copies', () => {
    expect(nextHosting(SHARD)).toBe(4)
  })
})

describe('shard state: in a word', () => {
  test('the phase → that of the primary; damaged when no copy can serve', () => {
    expect(shardPhase(openShard(0, 1))).toBe('open')
    expect(shardPhase(loneShard(0))).toBe('closed')
    expect(shardPhase(loneShard(0, { phase: 'damaged' }))).toBe('damaged')
    const oneLeft = shardOf(0, [{ phase: 'damaged' }, {}])
    expect(shardPhase(oneLeft)).toBe('closed')
    const noneLeft = shardOf(0, [{ phase: 'damaged' }, {}], {
      inSync: { version: 1, members: [0] },
    })
    expect(shardPhase(noneLeft)).toBe('damaged')
  })

  test('why it is not open → each copy that would do, and what helps', () => {
    const lost = shardOf(0, [
      { phase: 'damaged', reason: 'bad frame' },
      { phase: 'lost', volume: 1 },
    ])
    expect(shardReason(lost)).toBe(
      'copy 0: bad frame; copy 1: its volume 1 is lost; no other copy has everything ' +
        'acknowledged: bring back the files of one of these, and start again',
    )
    expect(shardReason(loneShard(0, { phase: 'damaged', reason: 'bad frame' }))).toBe('bad frame')
  })
})
