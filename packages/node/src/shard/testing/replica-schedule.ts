/**
 * Three copies of a shard under a seeded schedule of writes, kills, cut and held lines, lost disks and
 * promotions, with a client that counts. Disks and turns of the event loop are real, so a seed repeats
 * the schedule and not each interleaving.
 */
import { CountingClient } from './counting-client.js'
import type { ReplicaGroup } from './replica-group.js'

export const COPIES = 3
export const COUNTED_KEYS: readonly string[] = ['a', 'b', 'c']

export class ReplicaSchedule {
  kills = 0
  promotions = 0
  private readonly group: ReplicaGroup
  private readonly client = new CountingClient()
  private readonly random: () => number

  constructor(group: ReplicaGroup, random: () => number) {
    this.group = group
    this.random = random
  }

  private pick<Item>(items: readonly Item[]): Item {
    return items[Math.floor(this.random() * items.length)] as Item
  }

  private get alive(): number[] {
    return [...Array(COPIES).keys()].filter((copy) => this.group.isAlive(copy))
  }

  private get dead(): number[] {
    return [...Array(COPIES).keys()].filter((copy) => !this.group.isAlive(copy))
  }

  async step(): Promise<void> {
    if (!this.group.hasPrimary) await this.failOver()
    await this.pick<() => void | Promise<void>>([
      () => this.write(),
      () => this.write(),
      () => this.write(),
      () => this.write(),
      () => this.group.pass(100 * Math.floor(this.random() * 30)),
      () => this.disturbLine(),
      () => this.disturbLine(),
      () => this.apply(),
      () => this.host(),
      () => this.host(),
      () => this.kill(),
      () => this.lose(),
      () => {
        if (this.group.isAnswering && this.random() < 0.3) this.group.isAnswering = false
        else this.group.answerAll()
      },
    ])()
    this.check()
  }

  private async write(): Promise<void> {
    const { group, client } = this
    if (client.isIdle) client.resend(group.primary)
    client.increment(
      group.primary,
      Array.from({ length: 1 + Math.floor(this.random() * 4) }, () => this.pick(COUNTED_KEYS)),
    )
    if (this.random() < 0.5) await group.pass(100)
  }

  private disturbLine(): void {
    const pipe = this.pick([...this.group.pipes.values()])
    if (pipe?.isHeld === true) pipe.letGo()
    else if (this.random() < 0.5) pipe?.cut()
    else if (pipe !== undefined) pipe.isHeld = true
  }

  private async apply(): Promise<void> {
    const copy = this.pick(this.alive)
    await this.group.apply(copy)
  }

  private async host(): Promise<void> {
    const copy = this.pick(this.dead)
    if (copy !== undefined) await this.group.host(copy)
  }

  /** The disk of a copy that is not needed is gone. */
  private async lose(): Promise<void> {
    const copy = this.pick(this.dead)
    if (copy === undefined || this.group.stored.members.includes(copy)) return
    await this.group.lose(copy)
  }

  private async kill(): Promise<void> {
    const copy = this.pick(this.alive)
    this.kills += 1
    await this.group.kill(copy)
  }

  /** What the coordinator does: any copy in sync, one that is open before one that is not. */
  private async failOver(): Promise<void> {
    const { group } = this
    this.promotions += 1
    const { members } = group.stored
    const open = members.filter((copy) => group.isAlive(copy))
    group.answerAll()
    const opening = { isDone: false }
    const done = group.promote(this.pick(open.length > 0 ? open : members)).then(() => {
      opening.isDone = true
    })
    while (!opening.isDone) await group.pass(100)
    await done
  }

  /** P1, P3: a read shows at least what was acknowledged, and at most what was asked for. */
  private check(): void {
    const { group, client } = this
    for (const failure of group.failures) throw failure
    if (!group.hasPrimary) return
    for (const key of COUNTED_KEYS) {
      const value = group.primary.counter(key)
      const [low, high] = [client.highest(key), client.issued.get(key) ?? 0]
      if (value < low) throw new Error(`P1: ${key} reads ${value}, ${low} was acknowledged`)
      if (value > high) throw new Error(`P4: ${key} reads ${value}, ${high} were asked for`)
    }
  }

  /** No more faults: everything is answered, every copy is in sync and has everything. */
  async settle(): Promise<void> {
    const { group, client } = this
    if (!group.hasPrimary) await this.failOver()
    group.answerAll()
    for (const pipe of group.pipes.values()) pipe.letGo()
    for (const copy of this.dead) await group.host(copy)
    for (let passes = 0; group.stored.members.length < COPIES || !client.isDone; passes += 1) {
      if (passes > 2_000) throw new Error('the copies do not come to rest')
      if (client.isIdle) client.resend(group.primary)
      await group.pass(100)
    }
    this.check()
    for (const key of COUNTED_KEYS) {
      const count = client.issued.get(key) ?? 0
      const answered = client.answered.get(key)?.size ?? 0
      if (answered !== count || client.highest(key) !== count) {
        throw new Error(`P4: ${key} came to ${client.highest(key)} by ${answered} of ${count}`)
      }
    }
    await group.untilEqual()
  }

  counts(): (number | undefined)[] {
    return COUNTED_KEYS.map((key) => this.client.issued.get(key))
  }
}
