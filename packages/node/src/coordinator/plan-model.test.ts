/**
 * The planner against a model of the world: processes that live, die and answer when they like.
 *
 * The model knows what the coordinator can't: who really has a shard open. A run kills children at
 * random moments, delivers messages in any order that the channels allow, and at every step asks
 * for P5. Then the killing ends, and everything must come to rest.
 */
import { NO_CHILD } from '@kv/protocol'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { absentChild } from './child-state.js'
import type { NodeEvent, NodeState } from './node-state.js'
import { carryOut, firstTopology, observe } from './node-state.js'
import type { Step } from './plan.js'
import { plan } from './plan.js'
import { closedShard } from './shard-state.js'

/** One process of a child. */
interface Process {
  readonly child: number
  /** What it was told and has not taken yet. */
  readonly inbox: Step[]
  /** What it said and the coordinator has not heard yet; its exit is last. */
  readonly outbox: NodeEvent[]
  readonly holds: Set<number>
  isAlive: boolean
  /** It was sent SIGKILL; the kernel takes its time. */
  isCondemned: boolean
}

class World {
  state: NodeState
  nowMs = 0
  private readonly processes: Process[] = []
  /** By shard: the epoch in which it was opened last. */
  private readonly lastEpochs = new Map<number, number>()

  constructor(shards: number, children: number) {
    const closed = Array.from({ length: shards }, (_, id) => closedShard(id))
    this.state = {
      shards: closed,
      children: Array.from({ length: children }, (_, index) => absentChild(index + 1)),
      published: firstTopology(1, closed),
    }
  }

  get living(): readonly Process[] {
    return this.processes.filter((process) => process.isAlive)
  }

  /** Plans and acts until there is nothing to do, as the supervisor does. */
  settle(): void {
    for (;;) {
      const { steps } = plan(this.state, this.nowMs)
      if (steps.length === 0) return
      for (const step of steps) {
        this.state = carryOut(this.state, step)
        this.act(step)
      }
    }
  }

  private act(step: Step): void {
    if (step.type === 'fork') {
      const { child } = step
      const outbox: NodeEvent[] = [{ type: 'started', child, nowMs: this.nowMs }]
      this.processes.push({
        child,
        inbox: [],
        outbox,
        holds: new Set(),
        isAlive: true,
        isCondemned: false,
      })
    } else if (step.type !== 'publish') {
      this.living.find((process) => process.child === step.child)?.inbox.push(step)
    }
  }

  /** A process takes the next thing it was told; `luck` decides whether an opening fails. */
  work(pick: number, luck: number): void {
    const busy = this.living.filter((process) => process.inbox.length > 0)
    const process = busy[pick % busy.length]
    const step = process?.inbox.shift()
    if (process === undefined || step === undefined) return
    if (step.type === 'open') {
      const { shard, child, epoch } = step
      if (luck % 5 === 0) {
        const failure = { reason: 'bad luck', damaged: false, nowMs: this.nowMs, chance: 0 }
        process.outbox.push({ type: 'failed', child, shard, epoch, ...failure })
        return
      }
      if (this.living.some((other) => other.holds.has(shard))) {
        throw new Error(`P5: shard ${shard} is opened while another process has it`)
      }
      if (epoch <= (this.lastEpochs.get(shard) ?? 0)) throw new Error('epochs must grow')
      this.lastEpochs.set(shard, epoch)
      process.holds.add(shard)
      process.outbox.push({ type: 'opened', child, shard, epoch })
    } else if (step.type === 'release') {
      process.holds.delete(step.shard)
      process.outbox.push({ ...step, type: 'released' })
    }
  }

  /** The coordinator hears the next message of some process. */
  hear(pick: number): void {
    const talking = this.processes.filter((process) => process.outbox.length > 0)
    const event = talking[pick % talking.length]?.outbox.shift()
    if (event === undefined) return
    this.state = observe(this.state, event)
    this.settle()
  }

  /** A process dies, by itself or because it was condemned. */
  kill(pick: number): void {
    const process = this.living[pick % this.living.length]
    if (process === undefined) return
    process.isAlive = false
    process.holds.clear()
    process.outbox.push({ type: 'exited', child: process.child, nowMs: this.nowMs, chance: 0.5 })
  }

  /** The coordinator finds that a child does not answer. What it has it keeps until it dies. */
  condemn(pick: number): void {
    const process = this.living[pick % this.living.length]
    if (process === undefined || process.isCondemned) return
    process.isCondemned = true
    this.state = observe(this.state, { type: 'condemned', child: process.child })
    this.settle()
  }

  pass(ms: number): void {
    this.nowMs += ms
    this.settle()
  }

  /** No more deaths and no more bad luck: runs until nothing moves. */
  rest(): void {
    while (this.living.some((process) => process.isCondemned)) {
      this.kill(this.living.findIndex((process) => process.isCondemned))
    }
    for (let quiet = 0; quiet < 3;) {
      const before = this.state
      for (let step = 0; step < 2_000; step += 1) {
        this.work(step, 1)
        this.hear(step)
      }
      this.pass(60_000)
      quiet = this.state === before ? quiet + 1 : 0
    }
  }
}

type Action = {
  readonly what: 'work' | 'hear' | 'kill' | 'condemn' | 'pass'
  readonly pick: number
}

const actions: fc.Arbitrary<Action> = fc.record({
  what: fc.oneof(
    { weight: 20, arbitrary: fc.constant('work' as const) },
    { weight: 20, arbitrary: fc.constant('hear' as const) },
    { weight: 2, arbitrary: fc.constant('kill' as const) },
    { weight: 1, arbitrary: fc.constant('condemn' as const) },
    { weight: 3, arbitrary: fc.constant('pass' as const) },
  ),
  pick: fc.nat({ max: 1_000 }),
})

test('plan: children die and come back in any order → one owner at a time, all open in the end', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 24 }),
      fc.integer({ min: 1, max: 6 }),
      fc.array(actions, { maxLength: 250, size: 'max' }),
      (shards, children, run) => {
        const world = new World(shards, children)
        world.settle()
        for (const { what, pick } of run) {
          if (what === 'work') world.work(pick, pick)
          else if (what === 'pass') world.pass(pick)
          else world[what](pick)
        }
        world.rest()
        const { state } = world
        expect(state.shards.map((shard) => shard.phase)).toEqual(state.shards.map(() => 'open'))
        expect(state.published.primaries).not.toContain(NO_CHILD)
        const held = world.living.map((process) => process.holds.size)
        expect(held.reduce((sum, count) => sum + count, 0)).toBe(shards)
        expect(Math.max(...held) - Math.min(...held)).toBeLessThanOrEqual(1)
        for (const { child, holds } of world.living) {
          for (const shard of holds) expect(state.shards[shard]!.child).toBe(child)
        }
      },
    ),
    { numRuns: 150 },
  )
})
