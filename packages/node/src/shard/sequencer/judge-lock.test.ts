import assert from 'node:assert/strict'
import type { LockCall, UnlockCall } from '@kv/protocol'
import { LOCK_WAITERS_MAX, lockQueueKey, lockWaiterKey, WireReader } from '@kv/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Answer } from '../answer.js'
import type { Held } from '../held.js'
import { isExpired, tombstone, visibleAt } from '../held.js'
import { faultOf } from '../testing/calls.js'
import { textHeld } from '../testing/entries.js'
import { judgeLock, judgeUnlock } from './judge-lock.js'
import type { Verdict } from './judge.js'

const TTL_MS = 100
const WAIT_MS = 50

/** What an ask was answered: got it, queues behind a ticket (0: the lock), or not. */
type Outcome =
  | { readonly version: number }
  | { readonly ticket: number; readonly behind: number }
  /** `busy`, or a fault. */
  | string

/** A shard that has nothing but entries, and one lock. */
class LockUnderTest {
  readonly entries = new Map<string, Held>()
  readonly key = 'lock'
  nowMs = 1_000
  revision = 0

  ask(name: string, ticket = 0, waitMs: number | null = WAIT_MS): Outcome {
    const call: LockCall = {
      type: 'lock',
      key: this.key,
      owner: Buffer.from(name),
      ttlMs: TTL_MS,
      ticket,
      waitMs: waitMs ?? undefined,
    }
    return this.read(this.take(judgeLock(call, this.state, this.nowMs)))
  }

  unlock(name: string, ticket = 0): Answer {
    const call: UnlockCall = { type: 'unlock', key: this.key, owner: Buffer.from(name), ticket }
    return this.take(judgeUnlock(call, this.state, this.nowMs))
  }

  get state() {
    return {
      newest: (key: string) => this.entries.get(key),
      isEnded: (key: string, nowMs: number) => {
        const held = this.entries.get(key)
        return held?.memory !== undefined && isExpired(held, nowMs)
      },
      firstKeys: () => ({ keys: [], resume: undefined }),
    }
  }

  private take(verdict: Verdict): Answer {
    if (!verdict.accepted) return verdict.answer
    this.revision += 1
    for (const effect of verdict.effects) {
      if (effect.type === 'put') {
        const { source, start, end, expiresAt } = effect
        const bytes = Uint8Array.from(source)
        const held = { version: this.revision, expiresAt, memory: { bytes }, start, end }
        this.entries.set(effect.key, held)
      } else if (effect.type === 'touch') {
        this.entries.set(effect.key, effect.held)
      } else {
        this.entries.set(effect.key, tombstone(this.revision))
      }
    }
    return verdict.answer(this.revision)
  }

  private read(answer: Answer): Outcome {
    if (answer === null) return 'busy'
    if (typeof answer === 'number') return { version: answer }
    const fault = faultOf(answer)
    if (fault !== undefined) return fault
    const reader = new WireReader(answer as Uint8Array)
    reader.tuple(2)
    return { ticket: reader.unsigned(), behind: reader.unsigned() }
  }

  /** Keys that are there. */
  get visible(): string[] {
    return [...this.entries].filter(([, held]) => visibleAt(held, this.nowMs)).map(([key]) => key)
  }
}

describe('judge lock: who gets it', () => {
  test('free, and nobody waits → the entry under the key, with the ttl', () => {
    const lock = new LockUnderTest()
    expect(lock.ask('a')).toEqual({ version: 1 })
    expect(lock.entries.get('lock')).toMatchObject({ version: 1, expiresAt: 1_100 })
    expect(lock.visible).toEqual(['lock'])
  })

  test('held → one waits for the lock, the next for the one before', () => {
    const lock = new LockUnderTest()
    lock.ask('a')
    expect(lock.ask('b')).toEqual({ ticket: 1, behind: 0 })
    expect(lock.ask('c')).toEqual({ ticket: 2, behind: 1 })
    expect(lock.ask('d', 0, null)).toBe('busy')
    expect(lock.visible).not.toContain(lockWaiterKey('lock', 3))
  })

  test('given back → only the first who waits gets it, also before anybody has asked', () => {
    const lock = new LockUnderTest()
    lock.ask('a')
    lock.ask('b')
    lock.ask('c')
    expect(lock.unlock('a')).toBe(true)
    expect(lock.ask('d', 0, null)).toBe('busy')
    expect(lock.ask('c', 2)).toEqual({ ticket: 2, behind: 1 })
    expect(lock.ask('d')).toEqual({ ticket: 3, behind: 2 })
    expect(lock.ask('b', 1)).toEqual({ version: expect.any(Number) })
    expect(lock.ask('c', 2)).toEqual({ ticket: 2, behind: 0 })
  })

  test('asked again by who has it → the same version, nothing is logged', () => {
    const lock = new LockUnderTest()
    lock.ask('a')
    expect(lock.ask('a')).toEqual({ version: 1 })
    expect(lock.revision).toBe(1)
  })

  test('its time is over → the first who waits gets it, and the end is told with it', () => {
    const lock = new LockUnderTest()
    lock.ask('a')
    lock.ask('b', 0, 1_000)
    lock.nowMs += TTL_MS
    const call = {
      type: 'lock',
      key: 'lock',
      owner: Buffer.from('b'),
      ttlMs: 1,
      ticket: 1,
    } as const
    expect(judgeLock({ ...call, waitMs: 1 }, lock.state, lock.nowMs)).toMatchObject({
      effects: [
        { type: 'expire', key: 'lock' },
        { type: 'put', key: 'lock' },
        { type: 'delete', key: lockWaiterKey('lock', 1) },
        { type: 'delete', key: lockQueueKey('lock') },
      ],
    })
  })

  test('an entry that somebody else wrote there → is a lock that is held', () => {
    const lock = new LockUnderTest()
    lock.entries.set('lock', textHeld('not a lock'))
    expect(lock.ask('a', 0, null)).toBe('busy')
    expect(lock.unlock('a')).toBe(false)
  })
})

describe('judge lock: who leaves the queue', () => {
  test('gives its place back, or does not renew it → is passed over', () => {
    const lock = new LockUnderTest()
    lock.ask('a')
    for (const name of ['b', 'c', 'd']) lock.ask(name)
    expect(lock.unlock('c', 2)).toBe(true)
    expect(lock.ask('d', 3)).toEqual({ ticket: 3, behind: 1 })
    lock.nowMs += WAIT_MS - 1
    expect(lock.ask('d', 3)).toEqual({ ticket: 3, behind: 1 })
    lock.nowMs += 1
    expect(lock.ask('d', 3)).toEqual({ ticket: 3, behind: 0 })
  })

  test('comes back after its time → queues behind the others', () => {
    const lock = new LockUnderTest()
    lock.ask('a')
    lock.ask('b')
    lock.nowMs += WAIT_MS - 1
    lock.ask('c')
    lock.nowMs += 1
    expect(lock.ask('b', 1)).toEqual({ ticket: 3, behind: 2 })
  })

  test('the last → nothing of the queue is left', () => {
    const lock = new LockUnderTest()
    lock.ask('a')
    lock.ask('b')
    lock.unlock('b', 1)
    lock.unlock('a')
    expect(lock.visible).toEqual([])
  })

  test("with another's ticket, or none → only what is its own is given back", () => {
    const lock = new LockUnderTest()
    lock.ask('a')
    lock.ask('b')
    expect(lock.unlock('c', 1)).toBe(false)
    expect(lock.unlock('b')).toBe(false)
    expect(lock.ask('c', 1)).toEqual({ ticket: 2, behind: 1 })
  })

  test('P7: a queue without a place → OVERLOADED; those who wait keep theirs', () => {
    const lock = new LockUnderTest()
    lock.ask('holder')
    for (let ticket = 1; ticket <= LOCK_WAITERS_MAX; ticket += 1) lock.ask(`w${ticket}`)
    expect(lock.ask('late')).toBe('OVERLOADED not-applied')
    expect(lock.ask('w7', 7)).toEqual({ ticket: 7, behind: 6 })
  })
})

describe('judge lock: any history', () => {
  interface Waiter {
    readonly name: string
    ticket: number
    untilMs: number
  }

  test('→ one holder at a time, in the order of the queue, each behind the one before it', () => {
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ do: fc.constant('ask'), who: fc.nat(5) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('unlock'), who: fc.nat(5) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('pass'), who: fc.nat(60) }) },
    )
    const property = fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const lock = new LockUnderTest()
      const tickets = new Map<string, number>()
      let holder: { name: string; untilMs: number; version: number } | undefined
      let line: Waiter[] = []
      let token = 0
      for (const { do: action, who } of steps) {
        const name = `owner ${who}`
        if (action === 'pass') {
          lock.nowMs += who
          if (holder !== undefined && holder.untilMs <= lock.nowMs) holder = undefined
          line = line.filter(({ untilMs }) => untilMs > lock.nowMs)
        } else if (action === 'unlock') {
          const waits = line.some((each) => each.name === name)
          assert.equal(lock.unlock(name, tickets.get(name)), holder?.name === name || waits)
          if (holder?.name === name) holder = undefined
          line = line.filter((each) => each.name !== name)
        } else {
          const place = line.findIndex((each) => each.name === name)
          const outcome = lock.ask(name, tickets.get(name))
          if (holder?.name === name) {
            assert.deepEqual(outcome, { version: holder.version })
          } else if (holder === undefined && (line.length === 0 || place === 0)) {
            const { version } = outcome as { version: number }
            assert.ok(version > token)
            token = version
            holder = { name, version, untilMs: lock.nowMs + TTL_MS }
            if (place === 0) line.shift()
          } else {
            const waiter = line[place] ?? { name, ticket: 0, untilMs: 0 }
            if (place < 0) line.push(waiter)
            const { ticket, behind } = outcome as { ticket: number; behind: number }
            if (place >= 0) assert.equal(ticket, waiter.ticket)
            waiter.ticket = ticket
            waiter.untilMs = lock.nowMs + WAIT_MS
            tickets.set(name, ticket)
            assert.equal(behind, line[line.indexOf(waiter) - 1]?.ticket ?? 0)
          }
        }
        const due = [
          ...(holder === undefined ? [] : ['lock']),
          ...(line.length === 0 ? [] : [lockQueueKey('lock')]),
          ...line.map(({ ticket }) => lockWaiterKey('lock', ticket)),
        ]
        const found = lock.visible.filter((key) => key !== lockQueueKey('lock') || line.length > 0)
        assert.deepEqual(found.toSorted(), due.toSorted())
      }
    })
    expect(() => fc.assert(property, { numRuns: 500 })).not.toThrow()
  })
})
