/** Copies whose opening ends the child: who is blamed, who is opened when, what becomes of it. */
import { describe, expect, test } from 'vitest'
import type { CopyState } from './copy-state.js'
import { closedCopy } from './copy-state.js'
import type { NodeEvent, NodeState } from './node-state.js'
import { carryOut, firstTopology, observe } from './node-state.js'
import { plan } from './plan.js'
import { shardReason } from './shard-state.js'
import type { ShardState } from './shard-state.js'
import { SETTLED_AFTER_MS, crashOf } from './suspects.js'
import { loneShard, readyChild, shardOf } from './testing/shards.js'

const NOW_MS = 1_000

function stateOf(shards: readonly ShardState[], children: number): NodeState {
  const ids = Array.from({ length: children }, (_, index) => index + 1)
  const published = firstTopology(1, shards)
  return { minInSync: 1, shards, children: ids.map(readyChild), published }
}

function exit(child: number, crash?: NodeJS.Signals): NodeEvent {
  return { type: 'exited', child, crash, nowMs: NOW_MS, chance: 0 }
}

/** The child is there again. */
function restarted(state: NodeState, child: number): NodeState {
  return { ...state, children: state.children.with(child - 1, readyChild(child)) }
}

function opened(state: NodeState, shard: number, nowMs: number = NOW_MS): NodeState {
  const { child, hosting } = state.shards[shard]!.copies[0]!
  const { epoch } = state.shards[shard]!
  return observe(state, { type: 'opened', child, shard, hosting, epoch, nowMs })
}

function planned(state: NodeState, nowMs: number = NOW_MS): NodeState {
  return plan(state, nowMs).steps.reduce(carryOut, state)
}

function phases(state: NodeState): string[] {
  return state.shards.map(({ copies }) => copies[0]!.phase)
}

/** Three shards of one copy, all being opened in child 1. */
function threeOpening(): NodeState {
  return planned(stateOf([loneShard(0), loneShard(1), loneShard(2)], 1))
}

describe('suspects', () => {
  test('a child ends by SIGBUS while it opens three copies → they are opened one at a time', () => {
    const crashed = restarted(observe(threeOpening(), exit(1, 'SIGBUS')), 1)
    const first = planned(crashed)
    expect(phases(first)).toEqual(['opening', 'closed', 'closed'])
    const one = opened(first, 0)
    expect(phases(planned(one))).toEqual(['open', 'closed', 'closed'])
    expect(plan(one, NOW_MS).wakeAtMs).toBe(NOW_MS + SETTLED_AFTER_MS)
    expect(phases(planned(one, NOW_MS + SETTLED_AFTER_MS))).toEqual(['open', 'opening', 'closed'])
  })

  test('the one that ends it again is damaged, the others are opened together', () => {
    const crashed = restarted(observe(threeOpening(), exit(1, 'SIGBUS')), 1)
    const found = restarted(observe(planned(crashed), exit(1, 'SIGBUS')), 1)
    expect(phases(planned(found))).toEqual(['damaged', 'opening', 'opening'])
    expect(shardReason(found.shards[0]!)).toBe(
      'its child ended by SIGBUS twice while it was opened: check it with `kv-node verify`, restore it if it is damaged, and start the node again',
    )
  })

  test('while a suspect is opened, nothing else is opened in its child', () => {
    const crashed = restarted(observe(threeOpening(), exit(1, 'SIGSEGV')), 1)
    const [first, second, third] = planned(crashed).shards
    const fresh = { ...third!, copies: [closedCopy(0, { role: 'primary' })] }
    const state = { ...planned(crashed), shards: [first!, second!, fresh] }
    expect(phases(planned(state))).toEqual(['opening', 'closed', 'closed'])
  })

  test('killed, or ended by itself → nobody is suspect', () => {
    for (const end of [exit(1), exit(1, undefined)]) {
      const again = planned(restarted(observe(threeOpening(), end), 1))
      expect(phases(again)).toEqual(['opening', 'opening', 'opening'])
    }
  })

  test('it opens, or fails with its child alive → it is cleared', () => {
    const state = planned(stateOf([loneShard(0)], 1))
    const suspect = planned(restarted(observe(state, exit(1, 'SIGABRT')), 1))
    expect(copyOf(suspect)).toMatchObject({ crashes: 1 })
    expect(copyOf(opened(suspect, 0))).toMatchObject({ crashes: 0 })
    const { hosting } = copyOf(suspect)
    const failure = { reason: 'bad', damaged: false, nowMs: NOW_MS, chance: 0 }
    const failed = observe(suspect, { type: 'failed', child: 1, shard: 0, hosting, ...failure })
    expect(copyOf(failed)).toMatchObject({ crashes: 0, phase: 'closed' })
  })

  test('with another copy → that one serves, and the one at fault is made anew', () => {
    const pair = shardOf(0, [
      { phase: 'open', child: 1 },
      { phase: 'opening', child: 2 },
    ])
    const alone = { ...pair, inSync: { version: 2, members: [0] }, toldVersion: 2 }
    const once = restarted(observe(stateOf([alone], 2), exit(2, 'SIGSEGV')), 2)
    const twice = restarted(observe(planned(once), exit(2, 'SIGSEGV')), 2)
    expect(twice.shards[0]!.copies[1]).toMatchObject({ phase: 'damaged' })
    const later = twice.shards[0]!.copies[1]!.retryAtMs
    const rebuilt = planned(twice, later).shards[0]!.copies
    expect(rebuilt[1]).toMatchObject({ phase: 'opening', isCreated: false })
    expect(rebuilt[0]).toMatchObject({ phase: 'open', role: 'primary' })
  })

  test('a backup was being promoted where it is → its files were open: it is not to blame', () => {
    const pair = shardOf(0, [
      { phase: 'closed', child: 1 },
      { phase: 'open', child: 2, openedAtMs: 500 },
    ])
    const promoting = planned(stateOf([pair], 2))
    expect(promoting.shards[0]!.copies[1]).toMatchObject({ phase: 'opening', role: 'primary' })
    const dead = observe(promoting, exit(2, 'SIGSEGV'))
    expect(dead.shards[0]!.copies[1]).toMatchObject({ phase: 'closed', crashes: 0 })
  })

  test('ends that count: the three signals, also as exit codes', () => {
    expect(crashOf({ code: null, signal: 'SIGSEGV' })).toBe('SIGSEGV')
    expect(crashOf({ code: 134, signal: null })).toBe('SIGABRT')
    expect(crashOf({ code: null, signal: 'SIGKILL' })).toBeUndefined()
    expect(crashOf({ code: 1, signal: null })).toBeUndefined()
  })
})

function copyOf(state: NodeState): CopyState {
  return state.shards[0]!.copies[0]!
}
