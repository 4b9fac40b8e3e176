import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import type { Held } from '../held.js'
import { tombstone } from '../held.js'
import { inDirectory } from '../testing/directory.js'
import { compareBytes } from '../testing/entries.js'
import { PAGE_BYTES } from './page-need.js'
import { Reserve } from './reserve.js'
import type { Change } from './state.js'
import { State } from './state.js'

const IDENTITY = { clusterId: 'cluster-1', shard: 3 }
const CHANGES_MAX = 1_024
const BYTES_SOFT = 262_144
const TRANSACTIONS = 30

/** A number in [0, 1), of a sequence. */
type Random = () => number

function sequenceOf(seed: number): Random {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff
    return state / 0x8000_0000
  }
}

const KEYS: Readonly<Record<string, (random: Random, index: number) => string>> = {
  ascending: (_random, index) => `key:${String(index).padStart(10, '0')}`,
  scattered: (random) => `key:${Math.floor(random() * 2 ** 31).toString(36)}`,
  short: (random) => Math.floor(random() * 60_000).toString(36),
  long: (random, index) => `${index}${'x'.repeat(random() * 2_000)}`,
  any: (random, index) => {
    const kind = ['ascending', 'scattered', 'short', 'long'][Math.floor(random() * 4)] as string
    return (KEYS[kind] as (typeof KEYS)[string])(random, index)
  },
}
const VALUE_BYTES: Readonly<Record<string, (random: Random) => number>> = {
  tiny: (random) => random() * 3,
  small: (random) => random() * 300,
  'tiny beside large': (random) => (random() < 0.8 ? random() * 20 : 3_000 + random() * 1_000),
  'around what fits a leaf': (random) => 3_900 + random() * 300,
  large: (random) => random() ** 4 * 100_000,
}
const ENDS: Readonly<Record<string, (random: Random, count: number) => number>> = {
  never: () => 0,
  ascending: (_random, count) => 1_000_000 + count,
  descending: (_random, count) => 1_000_000 - count,
  scattered: (random) => 1 + Math.floor(random() * 1_000_000),
}

function styleOf<Kind>(kinds: Readonly<Record<string, Kind>>): fc.Arbitrary<string> {
  return fc.constantFrom(...Object.keys(kinds))
}

interface Workload {
  readonly keys: string
  readonly valueBytes: string
  readonly ends: string
  /** Whether a reader keeps LMDB from using freed pages again: the worst case. */
  readonly isPinned: boolean
  readonly seed: number
}

/** Transactions of changes in key order: to new keys and stored ones, dense and scattered. */
function* transactionsOf(workload: Workload): Generator<readonly Change[]> {
  const random = sequenceOf(workload.seed)
  const known: string[] = []
  const keyOf = KEYS[workload.keys] as (typeof KEYS)[string]
  const bytesOf = VALUE_BYTES[workload.valueBytes] as (typeof VALUE_BYTES)[string]
  const endOf = ENDS[workload.ends] as (typeof ENDS)[string]
  let count = 0
  for (let transaction = 0; transaction < TRANSACTIONS; transaction += 1) {
    const changes = new Map<string, Held>()
    const changesMax = random() < 0.5 ? CHANGES_MAX : 1 + Math.floor(random() * 100)
    const partNew = [0, 0.5, 1][Math.floor(random() * 3)] as number
    const partDeleted = [0, 0, 0.1, 0.5, 1][Math.floor(random() * 5)] as number
    const isDense = random() < 0.5
    const from = Math.floor(random() * known.length)
    for (let index = 0, bytes = 0; index < changesMax && bytes < BYTES_SOFT; index += 1) {
      const isNew = known.length === 0 || random() < partNew
      const at = isDense ? (from + index) % known.length : Math.floor(random() * known.length)
      const key = isNew ? keyOf(random, (count += 1)) : (known[at] as string)
      if (isNew) known.push(key)
      if (!isNew && random() < partDeleted) {
        changes.set(key, tombstone(1))
        continue
      }
      const end = Math.floor(bytesOf(random))
      bytes += end
      const expiresAt = endOf(random, count)
      changes.set(key, {
        version: 1,
        expiresAt,
        memory: { bytes: Buffer.alloc(end) },
        start: 0,
        end,
      })
    }
    if (transaction % 7 === 0) known.sort(compareBytes)
    yield Array.from(changes, ([key, held]) => ({ key, held })).toSorted((left, right) =>
      compareBytes(left.key, right.key),
    )
  }
}

interface Environment {
  getStats(): { readonly lastPageNumber: number }
  useReadTransaction(): { done(): void }
}

function environmentOf(state: State): Environment {
  return (state as unknown as { environment: Environment }).environment
}

/** Bytes up to the end of the last page in use. */
function usedBytes(state: State): number {
  const { lastPageNumber } = environmentOf(state).getStats()
  return (lastPageNumber + 1) * PAGE_BYTES
}

async function expectNeedToHold(workload: Workload): Promise<void> {
  await inDirectory(async (directory) => {
    const state = State.open(directory, IDENTITY)
    const reach = vi.spyOn(Reserve.prototype, 'reach')
    try {
      const pin = workload.isPinned ? environmentOf(state).useReadTransaction() : undefined
      for (const changes of transactionsOf(workload)) {
        await state.write(changes)
        const [reserved] = reach.mock.lastCall as [number, number]
        expect(usedBytes(state)).toBeLessThanOrEqual(reserved)
      }
      pin?.done()
    } finally {
      reach.mockRestore()
      await state.close()
    }
  })
}

describe('page need: what a transaction may take', () => {
  test('any changes, no freed page used again → LMDB stays within what was reserved', async () => {
    const workload: fc.Arbitrary<Workload> = fc.record({
      keys: styleOf(KEYS),
      valueBytes: styleOf(VALUE_BYTES),
      ends: styleOf(ENDS),
      isPinned: fc.constantFrom(true, true, false),
      seed: fc.integer({ min: 1, max: 2 ** 30 }),
    })
    const property = fc.asyncProperty(workload, expectNeedToHold)
    await expect(
      fc.assert(property, { numRuns: 20, interruptAfterTimeLimit: 10_000 }),
    ).resolves.toBeUndefined()
  }, 30_000)

  test('a few keys, written over and over → the file stays small', () =>
    inDirectory(async (directory) => {
      const state = State.open(directory, IDENTITY)
      const memory = { bytes: Buffer.alloc(100) }
      const changes = Array.from({ length: 500 }, (_, index): Change => {
        const held = { version: 1, expiresAt: 0, memory, start: 0, end: 100 }
        return { key: `key ${1_000 + index}`, held }
      })
      for (let round = 0; round < 50; round += 1) await state.write(changes)
      expect(state.bytesOnDisk).toBeLessThan(2 * 1_048_576)
      await state.close()
    }))
})
