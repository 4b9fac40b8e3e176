import assert from 'node:assert/strict'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { randomFrom } from '../log/testing/seeded-random.js'
import { SimulatedDisk } from '../log/testing/simulated-disk.js'
import type { Block } from './block.js'
import { readJournal } from './content.js'
import { Journal } from './journal.js'

/**
 * A power cut tears the durable write that is under way: any of its sectors, or of its pages, is new and
 * the others are as they were, which in a file that is used again is what older blocks have left. Whatever
 * stands there, the journal is read, and what was acknowledged and is in no segment yet is in it.
 */
const DIRECTORY = '/volume/journals'
const LOG_DIRECTORY = '/volume/shards/1/0/log'
/** Small, so that a few blocks fill one. */
const SIZES = { fileBytesMin: 32_768, fileBytesMax: 32_768 } as const

/** Frames of one turn, which go into one block as far as it has room, by their bytes. */
const turn = fc.array(
  fc.oneof(
    fc.integer({ min: 8, max: 200 }),
    fc.integer({ min: 200, max: 4_000 }),
    fc.integer({ min: 4_000, max: 20_000 }),
  ),
  { minLength: 1, maxLength: 4 },
)
const turns = fc.array(turn, { minLength: 1, maxLength: 30, size: 'max' })

class TornJournal {
  private readonly disk = new SimulatedDisk()
  private journal!: Journal
  private begun = 0
  private acknowledged = 0
  /** So many frames are in segments. */
  private writtenOut = 0
  private onHanging = (): void => undefined
  private readonly hanging = new Promise<void>((resolve) => (this.onHanging = resolve))

  /** Its `cutAt`-th durable write never returns. */
  static async create(cutAt: number): Promise<TornJournal> {
    const torn = new TornJournal()
    const options = { files: torn.disk.mount(), directory: DIRECTORY, childId: 1, ...SIZES }
    torn.journal = await Journal.create(options)
    const member = torn.journal.memberFor(1, LOG_DIRECTORY)
    await member.bind([])
    const writeOut = (): Promise<void> => {
      torn.writtenOut = torn.acknowledged
      return Promise.resolve()
    }
    member.join({ writeOut, abandon: () => undefined })
    let writes = 0
    torn.disk.onOperation = ({ kind, path }) => {
      if (kind !== 'write' || !path.endsWith('.journal')) return undefined
      writes += 1
      if (writes !== cutAt) return undefined
      torn.onHanging()
      return { kind: 'hang' }
    }
    return torn
  }

  /** Whether all of it was acknowledged; else a block with some of it hangs. */
  async append(frames: readonly number[]): Promise<boolean> {
    const appended = frames.map(async (bytes) => {
      this.begun += 1
      const frame = Buffer.alloc(bytes, String(this.begun).padEnd(8, '.'))
      await this.journal.append({ shard: 1, salt: 7, firstRevision: 1, offset: 0, bytes: frame })
      this.acknowledged += 1
    })
    return Promise.race([Promise.all(appended).then(() => true), this.hanging.then(() => false)])
  }

  async cutPower(random: () => number): Promise<void> {
    // Until what hangs is on its way.
    await new Promise((resolve) => setImmediate(resolve))
    this.disk.cutPower(random)
    const blocks = await readJournal(this.disk.mount(), DIRECTORY, this.journal.name)
    const found = numbersIn(blocks)
    const certain = found.filter((number) => number <= this.acknowledged)
    const first = certain[0] ?? this.acknowledged + 1
    assert.ok(first <= this.writtenOut + 1, `${first} is the first, ${this.writtenOut} are out`)
    const count = this.acknowledged - first + 1
    const expected = Array.from({ length: count }, (_, index) => first + index)
    assert.deepEqual(certain, expected)
  }
}

function numbersIn(blocks: readonly Block[]): number[] {
  return blocks.flatMap(({ records }) =>
    records.map(({ bytes, isSound }) => {
      assert.ok(isSound, 'a frame that was written whole is not as it was')
      return Number.parseInt(bytes.toString('latin1', 0, 8), 10)
    }),
  )
}

describe('P1, P8: a power cut tears the block that is being written', () => {
  test('into a new file or one used again → it is cut, and is no damage', async () => {
    const cuts = { cutAt: fc.integer({ min: 1, max: 40 }), seed: fc.nat() }
    const property = fc.asyncProperty(turns, fc.record(cuts), async (all, { cutAt, seed }) => {
      const torn = await TornJournal.create(cutAt)
      for (const frames of all) if (!(await torn.append(frames))) break
      await torn.cutPower(randomFrom(seed))
    })
    await expect(fc.assert(property, { numRuns: 300 })).resolves.toBeUndefined()
  }, 60_000)
})
