import { afterEach, describe, expect, test, vi } from 'vitest'
import { randomFrom } from '../log/testing/seeded-random.js'
import { Follower, type FollowerPorts } from './follower.js'
import { InSyncSet } from './in-sync-set.js'
import type { ToFollower, ToPrimary } from './messages.js'
import { Peer } from './peer.js'
import { Replicator } from './replicator.js'
import type { SeededBugs } from './testing/simulation-options.js'
import { Simulation } from './testing/simulation.js'

/** `KV_SEEDS=1000000` for a long run, `KV_FIRST_SEED` where it begins. */
const SEEDS = Number(process.env['KV_SEEDS'] ?? 1_000)
const FIRST_SEED = Number(process.env['KV_FIRST_SEED'] ?? 1)
const STEPS = 500
/** A seeded bug is to be found within so many schedules. */
const HUNT_SEEDS = 4_000

function simulate(seed: number, bugs: SeededBugs = {}): Simulation {
  const [copies, minInSync] = [2 + (seed % 2), 1 + ((seed >> 1) % 2)]
  const simulation = new Simulation({ copies, minInSync, random: randomFrom(seed), bugs })
  for (let step = 0; step < STEPS; step += 1) simulation.step()
  if (!simulation.settle()) throw new Error('the copies do not become equal')
  return simulation
}

/** What the first schedule that breaks a promise says. */
function firstViolation(bugs: SeededBugs = {}): string | undefined {
  for (let seed = 1; seed <= HUNT_SEEDS; seed += 1) {
    try {
      simulate(seed, bugs)
    } catch (error) {
      return (error as Error).message
    }
  }
  return undefined
}

describe('replication under random schedules', () => {
  test('P1, P2, P5: nothing acknowledged is lost, all copies become equal', () => {
    const seen: Record<string, number> = {}
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed += 1) {
      try {
        for (const [what, times] of Object.entries(simulate(seed).seen)) {
          seen[what] = (seen[what] ?? 0) + times
        }
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
      }
    }
    if (process.env['KV_SEEDS'] !== undefined) console.log(SEEDS, 'seeds', seen)
    // A run in which nothing happens proves nothing.
    expect(seen['acknowledged']).toBeGreaterThan(10 * SEEDS)
    expect(seen['promotions']).toBeGreaterThan(2 * SEEDS)
    expect(seen['changes']).toBeGreaterThan(2 * SEEDS)
    for (const what of ['refusals', 'rebuilt', 'silent', 'ahead']) {
      expect(seen[what]).toBeGreaterThan(SEEDS / 100)
    }
  }, 3_600_000)
})

describe('bugs in what stands around replication are found', () => {
  const found: Readonly<Record<Exclude<keyof SeededBugs, 'toleratesBreaks'>, RegExp>> = {
    cutsAtCommit: /^P1|was applied was cut/,
    ignoresMinInSync: /^P1: \d+ was acknowledged with 1 copies/,
    ignoresHostings: /^P1/,
    ignoresVersions: /^P1|is not in sync|do not become equal/,
    leavesSessionsOut: /^P2: the state/,
    forgetsEnd: /^P2: the state/,
    countsUnsynced: /^P1/,
  }
  test.each(Object.entries(found))('%s', (bug, violation) => {
    expect(firstViolation({ [bug]: true })).toMatch(violation)
  })
})

interface Heard<Arguments extends unknown[]> {
  onMessage: (this: unknown, ...said: Arguments) => void
}

describe('bugs in replication itself are found', () => {
  afterEach(() => {
    vi.restoreAllMocks()
  })

  test('a joining copy counts only once the coordinator has answered', () => {
    vi.spyOn(InSyncSet.prototype, 'required', 'get').mockImplementation(function (this: InSyncSet) {
      return this.members
    })
    expect(firstViolation()).toMatch(/^P1/)
  })

  test('a lost copy is not waited for, although the smaller set is not persisted', () => {
    vi.spyOn(InSyncSet.prototype, 'required', 'get').mockImplementation(function (this: InSyncSet) {
      const { pending, members } = this
      return pending?.type === 'remove'
        ? members.filter((copy) => copy !== pending.copy)
        : members.concat(pending?.copy ?? [])
    })
    expect(firstViolation()).toMatch(/^P1/)
  })

  test('a copy is asked in as soon as it streams, as if a snapshot were right at its start', () => {
    const replicator = Replicator.prototype as unknown as { hasCaughtUp(copy: number): boolean }
    vi.spyOn(replicator, 'hasCaughtUp').mockImplementation(function (this: unknown, copy: number) {
      const { peers } = this as { peers: Map<number, Peer> }
      return peers.get(copy)?.phase === 'streaming'
    })
    expect(firstViolation()).toMatch(/^P1/)
  })

  test('messages of another epoch are listened to', () => {
    const follower = Follower.prototype as Heard<[ToFollower]>
    const hear = follower.onMessage
    vi.spyOn(follower, 'onMessage').mockImplementation(function (this: unknown, message) {
      const { highestEpoch: epoch } = this as Follower
      hear.call(this, message.type === 'greet' ? message : { ...message, epoch })
    })
    const replicator = Replicator.prototype as Heard<[number, ToPrimary]>
    const hearFrom = replicator.onMessage
    vi.spyOn(replicator, 'onMessage').mockImplementation(function (this: unknown, copy, message) {
      hearFrom.call(this, copy, { ...message, epoch: (this as Replicator).epoch })
    })
    expect(firstViolation({ toleratesBreaks: true })).toMatch(/^P[12]|cut/)
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
    expect(firstViolation()).toMatch(/^(P2|what was applied was cut)/)
  })

  test('a frame counts as synced when it is sent', () => {
    vi.spyOn(Peer.prototype, 'sent').mockImplementation(function (this: Peer, revision) {
      this.sentRevision = revision
      this.durableRevision = revision
    })
    expect(firstViolation()).toBeDefined()
  })
})
