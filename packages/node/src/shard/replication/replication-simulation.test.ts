import { afterEach, describe, expect, test, vi } from 'vitest'
import { Follower, type FollowerPorts } from './follower.js'
import { InSyncSet } from './in-sync-set.js'
import { Peer } from './peer.js'
import { Simulation } from './testing/simulation.js'
import { randomFrom } from '../log/testing/seeded-random.js'

/** `KV_SEEDS=1000000` for a long run. */
const SEEDS = Number(process.env['KV_SEEDS'] ?? 1_500)
const STEPS = 400

function simulate(seed: number): Simulation {
  const simulation = new Simulation({ copies: 2 + (seed % 2), random: randomFrom(seed) })
  for (let step = 0; step < STEPS; step += 1) simulation.step()
  return simulation
}

/** The first seed whose schedule breaks a promise. */
function firstViolation(seeds: number): string | undefined {
  for (let seed = 1; seed <= seeds; seed += 1) {
    try {
      simulate(seed)
    } catch (error) {
      return (error as Error).message
    }
  }
  return undefined
}

describe('replication under random schedules', () => {
  afterEach(() => {
    vi.restoreAllMocks()
  })

  test('P1, P2, P5: nothing acknowledged is lost, no copy applies anything else', () => {
    const seen = { acknowledged: 0, promotions: 0, changes: 0, rebuilt: 0 }
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      let simulation: Simulation
      try {
        simulation = simulate(seed)
        simulation.settle()
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
      }
      if (!simulation.isAtRest) throw new Error(`seed ${seed}: the copies do not become equal`)
      for (const key of Object.keys(seen) as (keyof typeof seen)[]) seen[key] += simulation[key]
    }
    // A run in which nothing happens proves nothing.
    expect(seen.acknowledged).toBeGreaterThan(20 * SEEDS)
    expect(seen.promotions).toBeGreaterThan(2 * SEEDS)
    expect(seen.changes).toBeGreaterThan(SEEDS)
    expect(seen.rebuilt).toBeGreaterThan(0)
  }, 120_000)

  describe('seeded bugs are found', () => {
    test('a joining copy counts only once the coordinator has answered', () => {
      vi.spyOn(InSyncSet.prototype, 'required', 'get').mockImplementation(function (
        this: InSyncSet,
      ) {
        return this.members
      })
      expect(firstViolation(SEEDS)).toMatch(/^P1/)
    })

    test('a lost copy is not waited for, although the smaller set is not persisted', () => {
      vi.spyOn(InSyncSet.prototype, 'required', 'get').mockImplementation(function (
        this: InSyncSet,
      ) {
        const { pending, members } = this
        return pending?.type === 'remove'
          ? members.filter((copy) => copy !== pending.copy)
          : members.concat(pending?.copy ?? [])
      })
      expect(firstViolation(SEEDS)).toMatch(/^P1/)
    })

    test('a follower applies what is on its disk, committed or not', () => {
      vi.spyOn(Follower.prototype, 'onDurable').mockImplementation(function (
        this: Follower,
        revision,
      ) {
        const { ports, highestEpoch: epoch } = this as unknown as {
          ports: FollowerPorts
          highestEpoch: number
        }
        ports.send({ type: 'durable', epoch, revision })
        ports.onCommit(revision)
      })
      expect(firstViolation(20_000)).toMatch(/^(P2|what was applied was cut)/)
    })

    test('a frame counts as synced when it is sent', () => {
      vi.spyOn(Peer.prototype, 'sent').mockImplementation(function (this: Peer, revision) {
        this.sentRevision = revision
        this.durableRevision = revision
      })
      expect(firstViolation(SEEDS)).toBeDefined()
    })
  })
})
