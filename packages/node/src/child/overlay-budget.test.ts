import { describe, expect, test } from 'vitest'
import { LOG_BACKLOG_BYTES_MAX, OverlayBudget } from './overlay-budget.js'

const MEBIBYTE = 1_048_576

/** A shard whose overlay is applied when the test says so. */
class ShardWithOverlay {
  readonly id: number
  applicableBytes: number
  logBacklogBytes = 0
  attempts = 0
  private ending: { resolve: () => void; reject: (error: Error) => void } | undefined

  constructor(id: number, bytes: number) {
    this.id = id
    this.applicableBytes = bytes
  }

  get overlayBytes(): number {
    return this.applicableBytes
  }

  get isApplied(): boolean {
    return this.applicableBytes === 0
  }

  get isApplying(): boolean {
    return this.ending !== undefined
  }

  apply(): Promise<void> {
    this.attempts += 1
    return new Promise((resolve, reject) => {
      this.ending = { resolve, reject }
    })
  }

  async finish(): Promise<void> {
    this.applicableBytes = 0
    this.ending?.resolve()
    await this.ended()
  }

  async fail(): Promise<void> {
    this.ending?.reject(new Error('disk full'))
    await this.ended()
  }

  private async ended(): Promise<void> {
    this.ending = undefined
    await new Promise((resolve) => void setImmediate(resolve))
  }
}

function start(...bytes: readonly number[]) {
  const shards = bytes.map((each, index) => new ShardWithOverlay(index, each))
  const clock = { nowMs: 10_000 }
  const events = { changes: 0, errors: [] as string[] }
  const budget = new OverlayBudget({
    bytesMax: 64 * MEBIBYTE,
    overlays: () => shards,
    now: () => clock.nowMs,
    onChange: () => (events.changes += 1),
    onError: ({ id }, error) => events.errors.push(`${id} ${error.message}`),
  })
  const applying = (): number[] => shards.filter((each) => each.isApplying).map(({ id }) => id)
  return { shards, clock, events, budget, applying }
}

describe('overlay budget: room for writes (P7)', () => {
  test('more before the logs than they take at a time → none until some is durable', () => {
    const { budget, shards } = start(1, 1)
    expect(budget.hasRoom).toBe(true)
    for (const shard of shards) shard.logBacklogBytes = LOG_BACKLOG_BYTES_MAX / 2
    expect(budget.hasRoom).toBe(false)
    shards[0]!.logBacklogBytes -= 1
    expect(budget.hasRoom).toBe(true)
  })

  test('as much as the budget in all overlays → none', () => {
    expect(start(32 * MEBIBYTE, 32 * MEBIBYTE).budget.hasRoom).toBe(false)
    expect(start(32 * MEBIBYTE, 32 * MEBIBYTE - 1).budget.hasRoom).toBe(true)
  })
})

describe('overlay budget: when to apply (P7)', () => {
  test('below half of the budget, writes coming → not yet', () => {
    const { budget, applying } = start(10 * MEBIBYTE, 15 * MEBIBYTE)
    budget.onWrites()
    budget.onTick()
    expect(applying()).toEqual([])
  })

  test('half of it used → the largest, and one at a time', async () => {
    const { budget, shards, applying } = start(10 * MEBIBYTE, 13 * MEBIBYTE, 12 * MEBIBYTE)
    budget.onWrites()
    budget.onWrites()
    budget.onTick()
    expect(applying()).toEqual([1])
    await shards[1]?.finish()
    expect(applying()).toEqual([])
  })

  test('still above half after one → the next largest at once', async () => {
    const { budget, shards, applying } = start(20 * MEBIBYTE, 40 * MEBIBYTE, 22 * MEBIBYTE)
    budget.onWrites()
    await shards[1]?.finish()
    expect(applying()).toEqual([2])
  })

  test('a shard at what a restart may replay → applied, whatever the others hold', () => {
    const { budget, applying } = start(1, 16 * MEBIBYTE)
    budget.onWrites()
    expect(applying()).toEqual([1])
  })

  test('a second of quiet → the small ones, too, one after the other', async () => {
    const { budget, shards, clock, applying } = start(5, 10)
    budget.onWrites()
    clock.nowMs += 999
    budget.onTick()
    expect(applying()).toEqual([])
    clock.nowMs += 1
    budget.onTick()
    expect(applying()).toEqual([1])
    await shards[1]?.finish()
    budget.onTick()
    expect(applying()).toEqual([0])
    await shards[0]?.finish()
    budget.onTick()
    expect(applying()).toEqual([])
  })

  test('nothing to apply → nothing is done', () => {
    const { budget, clock, shards } = start(0, 0)
    clock.nowMs += 5_000
    budget.onTick()
    expect(shards.map(({ attempts }) => attempts)).toEqual([0, 0])
  })
})

describe('overlay budget: room', () => {
  test('below the budget → room; at it → none until something is applied', async () => {
    const { budget, shards, events } = start(32 * MEBIBYTE, 32 * MEBIBYTE - 1)
    expect(budget.hasRoom).toBe(true)
    ;(shards[1] as ShardWithOverlay).applicableBytes += 1
    expect(budget.hasRoom).toBe(false)
    budget.onWrites()
    await shards[0]?.finish()
    expect(budget.hasRoom).toBe(true)
    expect(events.changes).toBe(1)
  })
})

describe('overlay budget: applying fails', () => {
  test('→ the reason is known and told, and it is tried again after a pause', async () => {
    const { budget, shards, clock, events } = start(64 * MEBIBYTE)
    budget.onWrites()
    await shards[0]?.fail()
    expect(budget.refusal?.message).toBe('disk full')
    expect(events).toEqual({ changes: 1, errors: ['0 disk full'] })
    budget.onWrites()
    clock.nowMs += 999
    budget.onTick()
    expect(shards[0]?.attempts).toBe(1)
    clock.nowMs += 1
    budget.onTick()
    expect(shards[0]?.attempts).toBe(2)
    await shards[0]?.finish()
    expect(budget.refusal).toBeUndefined()
    expect(events.changes).toBe(2)
  })

  test('in quiet, too → no faster than that', async () => {
    const { budget, shards, clock } = start(10)
    clock.nowMs += 5_000
    budget.onTick()
    await shards[0]?.fail()
    budget.onTick()
    expect(shards[0]?.attempts).toBe(1)
    clock.nowMs += 1_000
    budget.onTick()
    expect(shards[0]?.attempts).toBe(2)
  })
})
