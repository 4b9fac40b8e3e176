import assert from 'node:assert/strict'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FRAME_HEADER_BYTES, type LogFrame } from '../log/frame.js'
import { Log } from '../log/log.js'
import { SimulatedDisk } from '../log/testing/simulated-disk.js'
import { Journals } from './journals.js'
import { randomFrom } from '../log/testing/seeded-random.js'

/**
 * Logs of several shards over journals, on a disk that loses what was not synced. The model: what was
 * acknowledged is there after every restart, in order (P1, P2); of what was under way, a prefix.
 */
const SHARDS = 3
const VOLUME = '/volume'
/** Small, so that they take turns often. */
const SIZES = { fileBytesMin: 262_144, fileBytesMax: 393_216 } as const

type Step =
  | { readonly kind: 'append'; readonly shards: readonly number[]; readonly length: number }
  | { readonly kind: 'drop' | 'close' | 'move' | 'refuse' | 'spoil'; readonly shard: number }
  | (End & { readonly kind: 'kill' | 'power' | 'stop' })

interface End {
  readonly seed: number
  /** Of what is under way then. */
  readonly length: number
  /** So many long frames come before it: with some, the files of the journal are used again. */
  readonly longBefore: number
}

const shard = fc.nat(SHARDS - 1)
const length = fc.oneof(
  { weight: 6, arbitrary: fc.nat(300) },
  fc.integer({ min: 300, max: 1_500 }),
  // Three of these fill a file of the journal; the longer one does not go through it.
  { weight: 3, arbitrary: fc.constant(100_000) },
  fc.constant(140_000),
)
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({
        kind: fc.constant('append' as const),
        shards: fc.uniqueArray(shard, { minLength: 1 }),
        length,
      }),
    },
    fc.record({
      kind: fc.constantFrom('drop', 'close', 'move', 'refuse', 'spoil'),
      shard,
    }) as fc.Arbitrary<Step>,
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constantFrom('kill', 'power', 'power', 'power', 'stop'),
        seed: fc.nat(),
        length: fc.oneof(length, fc.constant(100_000)),
        longBefore: fc.nat(8),
      }) as fc.Arbitrary<Step>,
    },
  ),
  { maxLength: 60, size: 'max' },
)

class Run {
  private readonly disk = new SimulatedDisk()
  /** Texts of the acknowledged frames of each shard, by revision less one. */
  private readonly known: string[][] = Array.from({ length: SHARDS }, () => [])
  private logs: Log[] = []
  /** Two children, each with its journals; `hosts[shard]` has the shard. */
  private children: Journals[] = []
  private readonly hosts: number[] = Array.from({ length: SHARDS }, (_, index) => index % 2)
  private texts = 0

  static async begin(): Promise<Run> {
    const run = new Run()
    const fileSystem = run.disk.mount()
    for (let id = 0; id < SHARDS; id += 1) {
      await (await Log.create({ ...optionsOf(id), fileSystem })).close()
    }
    await run.start()
    return run
  }

  private async start(): Promise<void> {
    const files = this.disk.mount()
    this.children = [1, 2].map(
      (childId) => new Journals({ files, volume: VOLUME, childId, ...SIZES }),
    )
    this.logs = []
    for (let id = 0; id < SHARDS; id += 1) this.logs.push(await this.open(id, []))
  }

  /** Opens the log of a shard; `doubtful` are frames that may be there, or a prefix of them. */
  private async open(id: number, doubtful: readonly string[]): Promise<Log> {
    const journals = this.children[this.hosts[id]!]!
    const { directory } = optionsOf(id)
    const found: string[] = []
    const fileSystem = this.disk.mount()
    const journaled = await journals.framesOf(id, directory)
    const journal = await journals.memberFor(id, directory)
    assert.ok(journal !== undefined)
    const onFrame = (frame: LogFrame): void => void found.push(frame.body.toString())
    const replayAfter = this.floors[id]!
    const options = { ...optionsOf(id), fileSystem, journal, journaled, replayAfter }
    const log = await Log.open({ ...options, onFrame })
    journal.join(log)
    const expected = this.known[id]!.slice(replayAfter)
    const extra = found.slice(expected.length)
    assert.deepEqual(found.slice(0, expected.length), expected)
    assert.deepEqual(extra, doubtful.slice(0, extra.length))
    this.known[id]!.push(...extra)
    return log
  }

  /** Revisions that the state is taken to have: the log need not hold them. */
  private readonly floors: number[] = Array.from({ length: SHARDS }, () => 0)

  async step(step: Step): Promise<void> {
    switch (step.kind) {
      case 'append':
        await Promise.all(step.shards.map((id) => this.append(id, step.length)))
        return
      case 'drop': {
        const revision = Math.floor(this.known[step.shard]!.length / 2)
        this.floors[step.shard] = Math.max(revision, this.floors[step.shard]!)
        await this.logs[step.shard]!.dropBefore(revision + 1)
        return
      }
      case 'close':
        await this.logs[step.shard]!.close()
        this.logs[step.shard] = await this.open(step.shard, [])
        return
      case 'move':
        await this.logs[step.shard]!.close()
        this.hosts[step.shard] = 1 - this.hosts[step.shard]!
        this.logs[step.shard] = await this.open(step.shard, [])
        return
      case 'refuse':
        return this.failWrites(step.shard)
      case 'spoil':
        return this.failWritingBehind(step.shard)
      case 'stop':
        for (const log of this.logs) await log.close()
        for (const child of this.children) await child.close()
        return this.start()
      case 'kill':
      case 'power':
        return this.crash(step.kind, step)
    }
  }

  private append(id: number, bodyBytes: number): Promise<void> {
    const { text, appended } = this.begin(id, bodyBytes)
    return appended.then(() => {
      this.known[id]!.push(text)
    })
  }

  private begin(id: number, bodyBytes: number): { text: string; appended: Promise<void> } {
    const log = this.logs[id]!
    this.texts += 1
    const text = String(this.texts).padEnd(bodyBytes + 8, '.')
    const buffer = Buffer.alloc(FRAME_HEADER_BYTES + text.length)
    buffer.write(text, FRAME_HEADER_BYTES)
    const firstRevision = log.lastRevision + 1
    const appended = log.append(buffer, text.length, {
      epoch: 1,
      firstRevision,
      count: 1,
      timeMs: 1,
    })
    return { text, appended }
  }

  /** The journal of a child can't be written any more: every log that meets it is opened again. */
  private async failWrites(id: number): Promise<void> {
    this.disk.onOperation = ({ kind, path }) =>
      kind === 'write' && path.endsWith('.journal') ? { kind: 'lose', code: 'EIO' } : undefined
    const { text, appended } = this.begin(id, 20)
    await assert.rejects(appended)
    this.disk.onOperation = () => undefined
    const host = this.hosts[id]
    for (let other = 0; other < SHARDS; other += 1) {
      if (this.hosts[other] !== host) continue
      await this.logs[other]!.close()
      this.logs[other] = await this.open(other, other === id ? [text] : [])
    }
  }

  /** What is written behind looks clean and never reaches the disk: the journal has it still. */
  private async failWritingBehind(id: number): Promise<void> {
    this.disk.onOperation = ({ kind, path }) =>
      kind === 'write' && path.endsWith('.log') ? { kind: 'lose', code: 'EIO' } : undefined
    const hasFailed = await this.logs[id]!.writeOut().then(
      () => false,
      () => true,
    )
    this.disk.onOperation = () => undefined
    if (!hasFailed) return
    await this.logs[id]!.close()
    this.logs[id] = await this.open(id, [])
  }

  private async crash(how: 'kill' | 'power', { seed, length, longBefore }: End): Promise<void> {
    const random = randomFrom(seed)
    for (let count = 0; count < longBefore; count += 1) await this.append(0, 100_000)
    // It ends while a block is being written, or at any other moment.
    const isWriting = random() < 0.5
    if (isWriting) this.hangNextWrite()
    const doubtful: string[][] = Array.from({ length: SHARDS }, () => [])
    for (let id = 0; id < SHARDS; id += 1) {
      if (random() < 0.5) doubtful[id]!.push(this.begin(id, length).text)
    }
    const turns = isWriting ? 1_000 : Math.floor(random() * 12)
    for (let turn = 0; turn < turns; turn += 1) await Promise.resolve()
    this.disk.onOperation = () => undefined
    if (how === 'kill') this.disk.kill()
    else this.disk.cutPower(random)
    const files = this.disk.mount()
    this.children = [1, 2].map(
      (childId) => new Journals({ files, volume: VOLUME, childId, ...SIZES }),
    )
    for (let id = 0; id < SHARDS; id += 1) {
      if (random() < 0.3) this.hosts[id] = 1 - this.hosts[id]!
      this.logs[id] = await this.open(id, doubtful[id]!)
    }
  }

  private hangNextWrite(): void {
    let isFirst = true
    this.disk.onOperation = ({ kind, path }) => {
      if (kind !== 'write' || !path.endsWith('.journal') || !isFirst) return undefined
      isFirst = false
      return { kind: 'hang' }
    }
  }

  async finish(): Promise<void> {
    for (const [id, log] of this.logs.entries()) {
      const found: string[] = []
      for await (const frame of log.readFrom(log.firstRevision)) found.push(frame.body.toString())
      assert.deepEqual(found, this.known[id]!.slice(log.firstRevision - 1))
    }
    for (const log of this.logs) await log.close()
    for (const child of this.children) await child.close()
    assert.ok(this.disk.paths().every((path) => !path.endsWith('.bound')))
  }
}

function optionsOf(id: number): {
  directory: string
  clusterId: string
  shard: number
  segmentBytesMin: number
  segmentBytesMax: number
} {
  const directory = `${VOLUME}/shards/${id}/0/log`
  return { directory, clusterId: 'c', shard: id, segmentBytesMin: 8_192, segmentBytesMax: 65_536 }
}

describe('P1, P2: logs that share a journal keep what was acknowledged', () => {
  test('through kills, power cuts, moves, failures of the journal and clean closes', async () => {
    const property = fc.asyncProperty(steps, async (all) => {
      const run = await Run.begin()
      for (const step of all) await run.step(step)
      await run.finish()
    })
    await expect(fc.assert(property, { numRuns: 80 })).resolves.toBeUndefined()
  }, 120_000)
})
