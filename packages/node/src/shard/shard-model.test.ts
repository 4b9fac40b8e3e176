import assert from 'node:assert/strict'
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { ReadCall } from '@kv/protocol'
import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import type { LogFileSystem } from './log/file-system.js'
import { nodeFileSystem } from './log/file-system.js'
import type { Replica } from './replica.js'
import { inDirectory } from './testing/directory.js'
import { KEY_PARTS, LONGEST_KEY } from './testing/entries.js'
import type { AtomicPart, Expected, Intent } from './testing/shard-model.js'
import { comparable, ShardModel } from './testing/shard-model.js'
import { ShardUnderTest } from './testing/shard-under-test.js'

const SHARD = 5

type Step =
  | { readonly kind: 'batch'; readonly intents: readonly Intent[] }
  /** Applies, and carries the intents out while it goes on. */
  | { readonly kind: 'apply'; readonly intents: readonly Intent[] }
  /** The disk of the state is full after so many transactions. */
  | { readonly kind: 'applyInVain'; readonly transactions: number }
  | { readonly kind: 'expire' | 'reopen' }
  | { readonly kind: 'tick'; readonly ms: number }
  /** The process is gone, some turns after it has sent the intents to the log. */
  | { readonly kind: 'crash'; readonly intents: readonly Intent[]; readonly turns: number }
  /** The log's disk fails under the intents. */
  | { readonly kind: 'failLog'; readonly intents: readonly Intent[] }

const KEYS = ['key', 'kez', LONGEST_KEY, ...KEY_PARTS]
const key = fc.constantFrom(...KEYS)
const bounds = { from: fc.oneof(fc.constant(''), key), to: fc.option(key, { nil: undefined }) }
const ms = fc.integer({ min: 1, max: 40 })
const text = fc.string({ minLength: 2, maxLength: 8 }).map((each) => `v ${each}`)
const optionalMs = fc.option(ms, { nil: undefined })

const intent: fc.Arbitrary<Intent> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('set' as const),
      key,
      text,
      // All of them fit one page, and a few dozen fill a segment of the log.
      padding: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(15_000)),
      expiry: fc.constantFrom('none', 'ttl', 'at', 'keep'),
      ms,
      condition: fc.constantFrom('none', 'absent', 'current', 'other'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('increment' as const),
      key,
      by: fc.integer({ min: 0, max: 1 }),
      ms: optionalMs,
      max: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('delete', 'deleteIf'),
      key,
      condition: fc.constantFrom('current', 'other'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('touch'), key, ms: optionalMs }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('get', 'entry', 'has'), key }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('clear', 'count', 'scan', 'scan'),
      ...bounds,
      reverse: fc.boolean(),
      keysOnly: fc.boolean(),
    }),
  },
)
const part: fc.Arbitrary<AtomicPart> = fc.oneof(
  fc.record({
    kind: fc.constant('check' as const),
    key,
    holds: fc.integer({ min: 0, max: 5 }).map((dice) => dice > 0),
  }),
  fc.record({
    kind: fc.constant('set' as const),
    key,
    text,
    padding: fc.constantFrom(0, 0, 5_000),
    expiry: fc.constantFrom('none', 'ttl', 'at', 'keep'),
    ms,
    condition: fc.constant('none'),
  }),
  fc.record({
    kind: fc.constant('increment' as const),
    key,
    by: fc.integer({ min: 0, max: 1 }),
    ms: optionalMs,
    max: fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined }),
  }),
  fc.record({ kind: fc.constant('delete' as const), key, condition: fc.constant('current') }),
  fc.record({ kind: fc.constant('touch' as const), key, ms: optionalMs }),
)
/** Few enough keys that operations meet each other. */
const atomic: fc.Arbitrary<Intent> = fc
  .array(part, { minLength: 1, maxLength: 8 })
  .map((parts) => ({
    kind: 'atomic',
    parts: parts.map((each) => ({ ...each, key: KEYS[KEYS.indexOf(each.key) % 4] ?? 'key' })),
  }))
const intents = fc.array(
  fc.oneof({ weight: 6, arbitrary: intent }, { weight: 2, arbitrary: atomic }),
  { minLength: 1, maxLength: 10 },
)

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('batch' as const), intents }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('apply' as const), intents }) },
  fc.record({ kind: fc.constant('applyInVain' as const), transactions: fc.nat(2) }),
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('expire', 'reopen') }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('tick' as const), ms: fc.nat(30) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('crash' as const), intents, turns: fc.nat(4) }),
  },
  fc.record({ kind: fc.constant('failLog' as const), intents }),
)

/** A history of one shard, and of the model beside it. */
class Run {
  private readonly root: string
  private readonly clock = { nowMs: 1_000_000 }
  private readonly disk = { isBroken: false }
  private model = new ShardModel(SHARD, 0)
  private epoch = 0
  private copies = 0
  private directory: string
  private under!: ShardUnderTest

  constructor(root: string) {
    this.root = root
    this.directory = join(root, 'first')
  }

  async begin(): Promise<void> {
    await this.open(true)
  }

  /** Opens the directory in the next epoch, whose first entry takes a revision. */
  private async open(create = false): Promise<void> {
    this.epoch += 1
    const { directory, epoch, clock } = this
    const fileSystem = breakable(this.disk)
    this.under = await ShardUnderTest.open({
      directory,
      create,
      epoch,
      shard: SHARD,
      clock,
      fileSystem,
    })
    this.model.revision += 1
  }

  async end(): Promise<void> {
    await this.under.shard.close()
  }

  async take(each: Step): Promise<void> {
    switch (each.kind) {
      case 'batch':
        await this.batch(each.intents)
        break
      case 'apply':
        await Promise.all([this.under.shard.apply(), this.batch(each.intents)])
        break
      case 'applyInVain':
        await this.applyInVain(each.transactions)
        break
      case 'expire':
        await this.expire()
        break
      case 'tick':
        this.clock.nowMs += each.ms
        break
      case 'reopen':
        await this.under.shard.close()
        await this.open()
        break
      case 'crash':
        await this.crash(each.intents, each.turns)
        break
      case 'failLog':
        await this.failLog(each.intents)
    }
    this.check()
  }

  private async batch(all: readonly Intent[]): Promise<void> {
    const taken = all.map((each) => this.model.take(each, this.clock.nowMs))
    // Scans and counts behind a write are answered once all that was sent is durable.
    const firstWrite = taken.findIndex(({ isLogged }) => isLogged)
    const expected = all.map((each, at) =>
      isWalk(each) && at > firstWrite && firstWrite >= 0
        ? this.model.take(each, this.clock.nowMs)
        : (taken[at] as Expected),
    )
    const answers = await this.under.send(expected.map(({ call }) => call))
    const found = answers.map((answer, at) => comparable(expected[at]!.call, answer))
    assert.deepEqual(
      found,
      expected.map(({ answer }) => answer),
    )
    assert.equal(this.under.shard.report().revision, this.model.revision)
  }

  private async applyInVain(transactions: number): Promise<void> {
    const { state } = (this.under.shard as unknown as { readonly replica: Replica }).replica
    const write = state.write.bind(state)
    const failing = vi.spyOn(state, 'write')
    for (let done = 0; done < transactions; done += 1) failing.mockImplementationOnce(write)
    failing.mockImplementation(() => Promise.reject(new Error('disk full')))
    await this.under.shard.apply().catch(() => undefined)
    failing.mockRestore()
  }

  /** An entry that removes what is over its time; nobody sees a difference but the revision. */
  private async expire(): Promise<void> {
    this.under.shard.expireSome()
    await this.under.send([{ type: 'has', key: 'key' }])
    const { revision } = this.under.shard.report()
    assert.ok(revision - this.model.revision <= 1)
    this.model.revision = revision
  }

  /** Copies the files as they are at some moment, and goes on with the copy. */
  private async crash(all: readonly Intent[], turns: number): Promise<void> {
    const outcomes = this.modelsOf(all)
    const { answers } = this.under.sendUnanswered(outcomes.calls)
    for (let turn = 0; turn < turns; turn += 1) {
      await new Promise((resolve) => void setImmediate(resolve))
    }
    const answered = new Set(answers.byPosition.keys())
    this.copies += 1
    const copy = join(this.root, `copy ${this.copies}`)
    await cp(this.directory, copy, { recursive: true })
    await this.under.shard.close()
    await rm(this.directory, { recursive: true })
    this.directory = copy
    await this.recover(outcomes.models, answered)
  }

  private async failLog(all: readonly Intent[]): Promise<void> {
    const outcomes = this.modelsOf(all)
    this.disk.isBroken = true
    const { answers } = this.under.sendUnanswered(outcomes.calls)
    await Promise.all(outcomes.calls.map((_, position) => answers.at(position)))
    this.disk.isBroken = false
    await this.under.shard.close()
    const isLogged = outcomes.models.some(({ revision }) => revision !== this.model.revision)
    assert.equal(this.under.failures.length, isLogged ? 1 : 0)
    await this.recover(outcomes.models, new Set())
  }

  /** The calls, and the model before the first and after each of them. */
  private modelsOf(all: readonly Intent[]) {
    const models = [this.model.copy()]
    const calls = all.map((each) => {
      const next = (models.at(-1) as ShardModel).copy()
      models.push(next)
      return next.take(each, this.clock.nowMs).call
    })
    return { calls, models }
  }

  /** P1, P2: the writes that survive are the first ones, and those answered are among them. */
  private async recover(
    models: readonly ShardModel[],
    answered: ReadonlySet<number>,
  ): Promise<void> {
    await this.open()
    const last = this.under.shard.report().revision - 1
    const survived = models.findLastIndex(({ revision }) => revision === last)
    assert.ok(survived >= 0, `no call ended at revision ${last}`)
    const needed = models[Math.max(-1, ...answered) + 1] as ShardModel
    assert.ok(last >= needed.revision, `revision ${needed.revision} was acknowledged`)
    this.model = (models[survived] as ShardModel).copy()
    this.model.revision += 1
  }

  /** P3: every way to read shows what the model holds. */
  private check(): void {
    const whole = { kind: 'scan', from: '', to: undefined, keysOnly: false } as const
    this.expectRead({ ...whole, reverse: false })
    this.expectRead({ ...whole, reverse: true })
    for (const each of KEYS) {
      this.expectRead({ kind: 'entry', key: each })
      this.expectRead({ kind: 'has', key: each })
    }
  }

  private expectRead(intended: Intent): void {
    const { call, answer } = this.model.take(intended, this.clock.nowMs)
    assert.deepEqual(comparable(call, this.under.read(call as ReadCall)), answer)
  }
}

function isWalk({ kind }: Intent): boolean {
  return kind === 'scan' || kind === 'count'
}

/** The node's file system, until the disk is broken: then what is to be durable is not written. */
function breakable(disk: { readonly isBroken: boolean }): LogFileSystem {
  return {
    ...nodeFileSystem,
    open: async (path, mode) => {
      const file = await nodeFileSystem.open(path, mode)
      const write = file.write.bind(file)
      file.write = (...to) =>
        disk.isBroken && mode === 'durable' ? Promise.reject(new Error('EIO')) : write(...to)
      return file
    },
  }
}

describe('shard: any history of calls, applying, expiry, reopenings, crashes and failures', () => {
  test('P1, P2, P3: → at every step it reads like a plain map, and keeps what it acknowledged', async () => {
    const property = fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), (steps) =>
      inDirectory(async (root) => {
        const run = new Run(root)
        await run.begin()
        try {
          for (const each of steps) await run.take(each)
        } finally {
          await run.end()
        }
      }),
    )
    // On failure fast-check says the seed and the path of the history.
    await expect(
      fc.assert(property, { numRuns: 30, interruptAfterTimeLimit: 8_000 }),
    ).resolves.toBeUndefined()
  })
})
