/**
 * The planner against a model of the world: processes that live, die and answer when they like.
 *
 * The model knows what the coordinator can't: who really has a copy open, and what each copy holds.
 * A run kills children at random moments, delivers messages in any order that the channels allow,
 * damages copies, poisons some so that whoever opens them dies, wants more or fewer children, kills the
 * coordinator, and at every step asks for P5 (one process per directory, one primary per shard)
 * and P1 (each primary has everything that was acknowledged), and that nothing sound is given up. Then the trouble ends, and everything
 * must come to rest.
 */
import { NO_CHILD } from '@kv/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { childCountOf } from './node-state.js'
import { plan } from './plan.js'
import { shardPhase } from './shard-state.js'
import { World } from './testing/world.js'

/** More by the environment, for a long look. */
const RUNS = Number(process.env['KV_PLAN_RUNS'] ?? 80)
const TIMEOUT_MS = 60_000 + RUNS * 500

type Action = {
  readonly what:
    | 'work'
    | 'hear'
    | 'write'
    | 'look'
    | 'kill'
    | 'condemn'
    | 'fail'
    | 'damage'
    | 'poison'
    | 'scale'
    | 'restart'
    | 'pass'
  readonly pick: number
}

const actions: fc.Arbitrary<Action> = fc.record({
  what: fc.oneof(
    { weight: 20, arbitrary: fc.constant('work' as const) },
    { weight: 20, arbitrary: fc.constant('hear' as const) },
    { weight: 10, arbitrary: fc.constant('write' as const) },
    { weight: 10, arbitrary: fc.constant('look' as const) },
    { weight: 2, arbitrary: fc.constant('kill' as const) },
    { weight: 1, arbitrary: fc.constant('condemn' as const) },
    { weight: 2, arbitrary: fc.constant('fail' as const) },
    { weight: 1, arbitrary: fc.constant('damage' as const) },
    { weight: 1, arbitrary: fc.constant('poison' as const) },
    { weight: 3, arbitrary: fc.constant('pass' as const) },
    { weight: 2, arbitrary: fc.constant('scale' as const) },
    { weight: 1, arbitrary: fc.constant('restart' as const) },
  ),
  pick: fc.nat({ max: 1_000 }),
})

function run(world: World, steps: readonly Action[]): void {
  world.settle()
  for (const { what, pick } of steps) {
    if (what === 'work') world.work(pick, pick)
    else if (what === 'restart') world.restart()
    else world[what](pick)
  }
  world.rest()
  expect(world.living.map(({ child }) => child).toSorted((one, other) => one - other)).toEqual(
    Array.from({ length: childCountOf(world.state) }, (_, index) => index + 1),
  )
}

function within(counts: readonly number[], spread: number): void {
  expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(spread)
}

describe('plan: children die, fail, come, leave and come back in any order', () => {
  test(
    'one copy → one owner at a time, all open in the end, evenly',
    () => {
      fc.assert(
        fc.property(
          fc.integer({ min: 1, max: 24 }),
          fc.integer({ min: 1, max: 6 }),
          fc.array(
            actions.filter(({ what }) => what !== 'damage' && what !== 'poison'),
            { maxLength: 250, size: 'max' },
          ),
          (shards, children, steps) => {
            const world = new World({ shards, children, copies: 1 })
            run(world, steps)
            const { state } = world
            expect(state.shards.map(shardPhase)).toEqual(state.shards.map(() => 'open'))
            expect(state.published.primaries).not.toContain(NO_CHILD)
            within(world.held(), 1)
          },
        ),
        { numRuns: RUNS },
      )
    },
    TIMEOUT_MS,
  )

  test(
    'several copies → nothing acknowledged is lost, every copy in sync in the end, evenly',
    () => {
      fc.assert(
        fc.property(
          fc.integer({ min: 1, max: 12 }),
          fc.integer({ min: 2, max: 3 }),
          fc.integer({ min: 0, max: 3 }),
          fc.array(actions, { maxLength: 400, size: 'max' }),
          (shards, copies, more, steps) => {
            const world = new World({ shards, children: copies + more, copies })
            run(world, steps)
            const { state } = world
            const whole = state.shards.filter((shard) => shardPhase(shard) !== 'damaged')
            for (const shard of whole) {
              expect(shardPhase(shard)).toBe('open')
              expect(shard.inSync.members).toEqual(shard.copies.map(({ copy }) => copy))
              expect(new Set(shard.copies.map(({ child }) => child)).size).toBe(copies)
            }
            // What was damaged while it was the only one in sync is not served, and said to be so.
            const served = state.shards.filter(({ id }) => !world.isLost(id))
            expect(served).toEqual(whole)
            if (whole.length < shards) return
            within(world.held(), 1)
            within(world.primaries(), 1)
            expect(plan(state, world.nowMs).steps).toEqual([])
          },
        ),
        { numRuns: RUNS },
      )
    },
    TIMEOUT_MS,
  )
})
