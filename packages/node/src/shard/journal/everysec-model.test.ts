import assert from 'node:assert/strict'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FRAME_HEADER_BYTES, type LogFrame } from '../log/frame.js'
import { Log } from '../log/log.js'
import { randomFrom } from '../log/testing/seeded-random.js'
import { SimulatedDisk } from '../log/testing/simulated-disk.js'
import { EPOCH_JUMP } from '../primary/epoch-jump.js'
import { Journals } from './journals.js'
import { HandTimer } from './testing/hand-timer.js'

/**
 * Logs of several shards over journals that sync later than they acknowledge, on a disk that loses any
 * of the sectors that were not synced. The model:
 *
 * - P1, of processes: what was acknowledged is there after every kill;
 * - a power cut leaves a prefix of what a shard had acknowledged, and takes back nothing that was
 *   acknowledged before the last sync;
 * - what a state has applied is always in the log;
 * - a revision is never given again once its frame was acknowledged (P2), and what is there never
 *   changes: a log that was cut is cut there for ever.
 */
const SHARDS = 3
const CHILDREN = [1, 2]
const VOLUME = '/volume'
/** Small, so that they take turns often. */
const SIZES = { fileBytesMin: 262_144, fileBytesMax: 393_216 } as const

type Step =
  | { readonly kind: 'append'; readonly shards: readonly number[]; readonly length: number }
  | { readonly kind: 'close' | 'move' | 'apply' | 'refuse' | 'failSync'; readonly shard: number }
  | { readonly kind: 'second' }
  | { readonly kind: 'kill' | 'power' | 'stop'; readonly seed: number; readonly length: number }

const shard = fc.nat(SHARDS - 1)
const length = fc.oneof(
  { weight: 6, arbitrary: fc.nat(300) },
  fc.integer({ min: 300, max: 9_000 }),
  // Three of these fill a file of the journal; the longer one does not go through it.
  { weight: 3, arbitrary: fc.constant(100_000) },
  fc.constant(140_000),
)
const append = fc.record({
  kind: fc.constant('append' as const),
  shards: fc.uniqueArray(shard, { minLength: 1 }),
  length,
})
const change = fc.record({
  kind: fc.constantFrom('close', 'move', 'apply', 'apply', 'refuse', 'failSync'),
  shard,
}) as fc.Arbitrary<Step>
const end = fc.record({
  kind: fc.constantFrom('kill', 'power', 'power', 'power', 'stop'),
  seed: fc.nat(),
  length,
}) as fc.Arbitrary<Step>
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 14, arbitrary: append },
    { weight: 2, arbitrary: change },
    { weight: 2, arbitrary: fc.constant({ kind: 'second' } as const) },
    { weight: 3, arbitrary: end },
  ),
  { maxLength: 70, size: 'max' },
)

interface Known {
  readonly text: string
  readonly revision: number
}

class ModelShard {
  /** What was acknowledged and not taken back, oldest first. */
  frames: Known[] = []
  /** So many of them no power cut takes back. */
  certain = 0
  /** The highest revision that anybody was told of, or may have been. */
  highest = 0
  /** What the state holds: it may only be less than the log. */
  applied = 0
  epoch = 0
  host: number
  log!: Log

  constructor(id: number) {
    this.host = id % CHILDREN.length
  }
}

class Run {
  private readonly disk = new SimulatedDisk()
  private readonly shards = Array.from({ length: SHARDS }, (_, id) => new ModelShard(id))
  private children: Journals[] = []
  private timers: HandTimer[] = []
  private texts = 0
  lost = 0

  static async begin(): Promise<Run> {
    const run = new Run()
    for (let id = 0; id < SHARDS; id += 1) {
      const fileSystem = run.disk.mount()
      await (await Log.create({ ...optionsOf(id), fileSystem })).close()
    }
    run.startChildren()
    for (let id = 0; id < SHARDS; id += 1) await run.open(id, [])
    return run
  }

  private startChildren(): void {
    const files = this.disk.mount()
    this.timers = CHILDREN.map(() => new HandTimer())
    this.children = CHILDREN.map((childId, index) => {
      const { schedule } = this.timers[index]!
      const journal = { files, volume: VOLUME, childId, schedule, fsync: 'everysec' as const }
      return new Journals({ ...journal, ...SIZES })
    })
  }

  /** `doubtful` was under way and may be there; `mayLose`: there was a power cut. */
  private async open(id: number, doubtful: readonly Known[], mayLose = false): Promise<void> {
    const model = this.shards[id]!
    const found: Known[] = []
    const onFrame = ({ body, firstRevision, count }: LogFrame): void => {
      const text = body.toString()
      if (text !== '') found.push({ text, revision: firstRevision + count - 1 })
    }
    const replayAfter = model.applied
    const log = await this.openLog(id, { replayAfter, onFrame })
    const before = model.frames.filter(({ revision }) => revision <= replayAfter)
    const after = [...model.frames.slice(before.length), ...doubtful]
    const least = Math.max(0, (mayLose ? model.certain : model.frames.length) - before.length)
    assert.deepEqual(found, after.slice(0, found.length))
    assert.ok(found.length >= least, `shard ${id} has ${found.length} of at least ${least}`)
    this.lost += Math.max(0, model.frames.length - before.length - found.length)
    model.frames = [...before, ...found]
    // Opening brings it to the disk.
    model.certain = model.frames.length
    model.log = log
    await this.beginEpoch(model, doubtful)
  }

  private async openLog(
    id: number,
    replay: { readonly replayAfter: number; readonly onFrame: (frame: LogFrame) => void },
  ): Promise<Log> {
    const journals = this.children[this.shards[id]!.host]!
    const { directory } = optionsOf(id)
    const journaled = await journals.framesOf(id, directory)
    const journal = await journals.memberFor(id, directory)
    assert.ok(journal !== undefined)
    const fileSystem = this.disk.mount()
    const log = await Log.open({ ...optionsOf(id), fileSystem, journal, journaled, ...replay })
    journal.join(log)
    return log
  }

  /** As a primary does: with a jump. No revision that anybody knew of is above it. */
  private async beginEpoch(model: ModelShard, doubtful: readonly Known[]): Promise<void> {
    model.epoch += 1
    const highest = Math.max(model.highest, ...doubtful.map(({ revision }) => revision))
    const firstRevision = model.log.lastRevision + EPOCH_JUMP + 1
    assert.ok(firstRevision > highest, `${firstRevision} was given before: ${highest} is known`)
    const meta = { epoch: model.epoch, firstRevision, count: 1, timeMs: 1 }
    await model.log.append(Buffer.alloc(FRAME_HEADER_BYTES), 0, meta, { jump: true })
    model.highest = firstRevision
  }

  async step(step: Step): Promise<void> {
    switch (step.kind) {
      case 'append':
        await Promise.all(step.shards.map((id) => this.append(id, step.length)))
        return
      case 'second':
        for (const timer of this.timers) timer.fire()
        for (const { log } of this.shards) await log.sync()
        this.allCertain()
        return
      case 'apply': {
        const model = this.shards[step.shard]!
        const { lastRevision } = model.log
        await model.log.sync()
        model.applied = lastRevision
        model.certain = model.frames.length
        return
      }
      case 'close':
        return this.reopen(step.shard)
      case 'move':
        return this.reopen(step.shard, 1 - this.shards[step.shard]!.host)
      case 'refuse':
        return this.failJournal(step.shard, 'write')
      case 'failSync':
        return this.failJournal(step.shard, 'sync')
      case 'stop':
        for (const { log } of this.shards) await log.close()
        for (const child of this.children) await child.close()
        assert.ok(this.disk.paths().every((path) => !path.endsWith('.bound')))
        this.startChildren()
        for (let id = 0; id < SHARDS; id += 1) await this.open(id, [])
        return
      case 'kill':
      case 'power':
        return this.crash(step.kind, randomFrom(step.seed), step.length)
    }
  }

  private allCertain(): void {
    for (const model of this.shards) model.certain = model.frames.length
  }

  private async reopen(id: number, host: number = this.shards[id]!.host): Promise<void> {
    const model = this.shards[id]!
    await model.log.close()
    model.host = host
    await this.open(id, [])
  }

  private async append(id: number, bodyBytes: number): Promise<void> {
    const { known, appended } = this.begin(id, bodyBytes)
    await appended
    const model = this.shards[id]!
    model.frames.push(known)
    model.highest = known.revision
  }

  private begin(id: number, bodyBytes: number): { known: Known; appended: Promise<void> } {
    const { log, epoch } = this.shards[id]!
    this.texts += 1
    const text = String(this.texts).padEnd(bodyBytes + 8, '.')
    const buffer = Buffer.alloc(FRAME_HEADER_BYTES + text.length)
    buffer.write(text, FRAME_HEADER_BYTES)
    const firstRevision = log.lastRevision + 1
    const meta = { epoch, firstRevision, count: 1, timeMs: 1 }
    const appended = log.append(buffer, text.length, meta)
    return { known: { text, revision: firstRevision }, appended }
  }

  /** The journal of a child can't be written, or synced, any more: all its logs are opened again. */
  private async failJournal(id: number, kind: 'write' | 'sync'): Promise<void> {
    const { host } = this.shards[id]!
    const { known, appended } = this.begin(id, 20)
    const doubtful: Known[] = []
    if (kind === 'write') this.failNext(kind)
    await appended.catch(() => doubtful.push(known))
    if (doubtful.length === 0) this.shards[id]!.frames.push(known)
    if (kind === 'sync') this.failNext(kind)
    const hasFailed = await this.shards[id]!.log.sync().then(
      () => false,
      () => true,
    )
    this.disk.onOperation = () => undefined
    // What was to fail had been done already, as when a file of the journal was full.
    if (!hasFailed && kind === 'sync') return
    for (let other = 0; other < SHARDS; other += 1) {
      const model = this.shards[other]!
      if (model.host !== host) continue
      // Each learns of it without being written to.
      assert.ok(model.log.failure !== undefined)
      await model.log.close()
      await this.open(other, other === id ? doubtful : [])
    }
  }

  private failNext(kind: 'write' | 'sync'): void {
    this.disk.onOperation = (operation) =>
      operation.kind === kind && operation.path.endsWith('.everysec')
        ? { kind: 'lose', code: 'EIO' }
        : undefined
  }

  private async crash(how: 'kill' | 'power', random: () => number, bytes: number): Promise<void> {
    const doubtful: Known[][] = Array.from({ length: SHARDS }, () => [])
    for (let id = 0; id < SHARDS; id += 1) {
      if (random() < 0.5) doubtful[id]!.push(this.begin(id, bytes).known)
    }
    if (random() < 0.3) for (const timer of this.timers) timer.fire()
    const turns = Math.floor(random() * 20)
    for (let turn = 0; turn < turns; turn += 1) await Promise.resolve()
    if (how === 'kill') this.disk.kill()
    else this.disk.cutPower(random)
    this.startChildren()
    for (let id = 0; id < SHARDS; id += 1) {
      if (random() < 0.3) this.shards[id]!.host = 1 - this.shards[id]!.host
      await this.open(id, doubtful[id]!, how === 'power')
      // Those that are not open yet may meet a power cut before they are.
      if (how === 'kill' && random() < 0.2) return this.crashAgain(id, doubtful, random)
    }
  }

  private async crashAgain(
    opened: number,
    doubtful: readonly (readonly Known[])[],
    random: () => number,
  ): Promise<void> {
    this.disk.cutPower(random)
    this.startChildren()
    for (let id = 0; id < SHARDS; id += 1) {
      await this.open(id, id <= opened ? [] : doubtful[id]!, true)
    }
  }

  async finish(): Promise<void> {
    for (const model of this.shards) {
      const found: string[] = []
      for await (const { body } of model.log.readFrom(1)) {
        if (body.length > 0) found.push(body.toString())
      }
      assert.deepEqual(
        found,
        model.frames.map(({ text }) => text),
      )
    }
    await this.step({ kind: 'stop', seed: 0, length: 0 })
    for (const { log } of this.shards) await log.close()
    for (const child of this.children) await child.close()
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

describe('P1, P2: logs over a journal that syncs every second', () => {
  test('lose nothing to kills, and to power cuts the last of it only', async () => {
    let lost = 0
    const property = fc.asyncProperty(steps, async (all) => {
      const run = await Run.begin()
      for (const step of all) await run.step(step)
      await run.finish()
      lost += run.lost
    })
    await expect(fc.assert(property, { numRuns: 100 })).resolves.toBeUndefined()
    // Or nothing of this was tried.
    expect(lost).toBeGreaterThan(0)
  }, 90_000)
})
