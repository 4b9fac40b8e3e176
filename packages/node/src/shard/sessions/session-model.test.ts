/**
 * The sessions of a shard beside a plain model of what its clients did, under random retries,
 * crashes, replays, failed appends and evictions (P4).
 */
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { StorableSession } from './session-table.js'
import { FORGOTTEN, SESSION_IDLE_MS, SessionTable } from './session-table.js'

/** A few sessions fit. */
const BYTES_MAX = 2_600
const CLIENTS = 5

type Record =
  | { readonly revision: number; readonly evicted: readonly number[] }
  | {
      readonly revision: number
      readonly clientId: number
      readonly sequence: number
      readonly lowWater: number
    }

interface Client {
  newest: number
  lowWater: number
  /** Numbers whose end the client has seen. */
  readonly settled: Set<number>
}

/** The answer of the entry, as a replay derives it. */
function answerAt(revision: number): Uint8Array | number | boolean {
  if (revision % 3 === 0) return revision
  return revision % 3 === 1 ? true : Uint8Array.of(0x92, revision & 0x7f, 1)
}

class Scenario {
  /** What of the promise does not hold, in words. */
  readonly violations: string[] = []
  private table = new SessionTable(BYTES_MAX)
  private readonly clients: Client[] = Array.from({ length: CLIENTS + 1 }, () => ({
    newest: 0,
    lowWater: 0,
    settled: new Set<number>(),
  }))
  /** What is in the log, pending entries included. */
  private log: Record[] = []
  private committedRevision = 0
  private readonly disk = new Map<number, StorableSession>()
  private diskFloor = 0
  private diskRevision = 0
  private nowMs = 0

  get lastRevision(): number {
    return this.log.at(-1)?.revision ?? this.committedRevision
  }

  private executed(clientId: number, sequence: number): number | undefined {
    const found = this.log.find(
      (each) => 'sequence' in each && each.clientId === clientId && each.sequence === sequence,
    )
    return found?.revision
  }

  private wasEvicted(clientId: number): boolean {
    return this.log.some((each) => 'evicted' in each && each.evicted.some((id) => id >= clientId))
  }

  attempt(clientId: number, sequence: number, isResend: boolean): void {
    const client = this.clients[clientId]!
    const judged = this.table.judge({ clientId, sequence, isResend })
    const revision = this.executed(clientId, sequence)
    const name = `write ${sequence} of client ${clientId}`
    if (judged === FORGOTTEN) {
      if (!isResend || !this.wasEvicted(clientId)) this.violations.push(`${name} was forgotten`)
      client.settled.add(sequence)
    } else if (judged === undefined) {
      if (revision !== undefined) this.violations.push(`${name} was executed twice`)
      this.execute(clientId, sequence)
    } else {
      const due = { revision, answer: answerAt(revision ?? 0) }
      if (!isDeepStrictEqual({ ...judged }, due)) this.violations.push(`${name}: another answer`)
      if (judged.revision <= this.committedRevision) client.settled.add(sequence)
    }
  }

  private execute(clientId: number, sequence: number): void {
    const { lowWater } = this.clients[clientId]!
    const revision = this.lastRevision + 1
    const entry = { revision, clientId, sequence, lowWater }
    this.log.push(entry)
    this.table.add(entry, { revision, answer: answerAt(revision) }, this.nowMs)
    if (this.table.isOverLimit) this.evict()
  }

  private evict(): void {
    const evicted = this.table.evictable(this.nowMs)
    if (evicted.length === 0) return
    const revision = this.lastRevision + 1
    this.log.push({ revision, evicted })
    this.table.evicting(evicted, revision)
  }

  send(clientId: number, arrives: boolean): void {
    const client = this.clients[clientId]!
    client.newest += 1
    if (arrives) this.attempt(clientId, client.newest, false)
  }

  retry(clientId: number, back: number): void {
    const { newest, lowWater } = this.clients[clientId]!
    if (newest - back > lowWater) this.attempt(clientId, newest - back, true)
  }

  commit(): void {
    this.committedRevision = this.lastRevision
    this.table.committed(this.committedRevision)
  }

  confirm(clientId: number): void {
    const client = this.clients[clientId]!
    for (;;) {
      const next = client.lowWater + 1
      const revision = this.executed(clientId, next)
      const isAnswered = revision !== undefined && revision <= this.committedRevision
      if (!isAnswered && !client.settled.has(next)) return
      client.lowWater = next
    }
  }

  private cut(): void {
    this.log = this.log.filter(({ revision }) => revision <= this.committedRevision)
  }

  giveUp(): void {
    this.cut()
    this.table.discardFrom(this.committedRevision + 1)
  }

  store(isInTime: boolean): void {
    const { floor, sessions, removed } = this.table.freeze(this.committedRevision)
    if (!isInTime) return
    for (const clientId of removed) this.disk.delete(clientId)
    for (const session of sessions) this.disk.set(session.clientId, session)
    this.diskFloor = floor
    this.diskRevision = Math.max(this.frozenAt ?? this.committedRevision, this.diskRevision)
    this.table.stored()
    this.frozenAt = undefined
  }

  private frozenAt: number | undefined

  /** The storing that was begun fails: what is frozen stays so. */
  storeInVain(): void {
    this.frozenAt ??= this.committedRevision
    this.store(false)
  }

  crash(): void {
    this.cut()
    this.frozenAt = undefined
    this.table = new SessionTable(BYTES_MAX)
    this.table.load(this.diskFloor, this.disk.values())
    for (const each of this.log) {
      if (each.revision <= this.diskRevision) continue
      if ('evicted' in each) this.table.evict(each.evicted, each.revision)
      else this.table.add(each, { ...each, answer: answerAt(each.revision) }, 0)
    }
    this.table.begin(this.nowMs)
  }

  idle(): void {
    this.nowMs += SESSION_IDLE_MS
    this.evict()
  }
}

const client = fc.integer({ min: 1, max: CLIENTS })
const step: fc.Arbitrary<(scenario: Scenario) => void> = fc.oneof(
  { weight: 8, arbitrary: client.map((id) => (at: Scenario) => at.send(id, true)) },
  { weight: 2, arbitrary: client.map((id) => (at: Scenario) => at.send(id, false)) },
  {
    weight: 8,
    arbitrary: fc.tuple(client, fc.nat(6)).map(
      ([id, back]) =>
        (at: Scenario) =>
          at.retry(id, back),
    ),
  },
  { weight: 4, arbitrary: fc.constant((at: Scenario) => at.commit()) },
  { weight: 2, arbitrary: client.map((id) => (at: Scenario) => at.confirm(id)) },
  { weight: 1, arbitrary: fc.constant((at: Scenario) => at.giveUp()) },
  { weight: 1, arbitrary: fc.constant((at: Scenario) => at.store(true)) },
  { weight: 1, arbitrary: fc.constant((at: Scenario) => at.storeInVain()) },
  { weight: 1, arbitrary: fc.constant((at: Scenario) => at.crash()) },
  { weight: 1, arbitrary: fc.constant((at: Scenario) => at.idle()) },
)

test('P4: any schedule → a retry gets its first result or is not executed, never twice', () => {
  const property = fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
    const scenario = new Scenario()
    for (const each of steps) each(scenario)
    expect(scenario.violations).toEqual([])
  })
  fc.assert(property, { numRuns: 2_000 })
})
