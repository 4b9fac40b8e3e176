import { describe, expect, test } from 'vitest'
import { randomFrom } from './log/testing/seeded-random.js'
import { readEntryAnswer, setCall } from './testing/calls.js'
import { inDirectory } from './testing/directory.js'
import { PowerCutFiles } from './testing/power-cut-files.js'
import { ReplicaGroup } from './testing/replica-group.js'

/** `KV_SEEDS=100` for a long run. */
const SEEDS = Number(process.env['KV_SEEDS'] ?? 4)
const ROUNDS = 6
const KEYS = ['a', 'b', 'c']

interface Written {
  readonly key: string
  readonly text: string
  readonly version: number
}

/**
 * A shard of one or two copies with `fsync: 'everysec'`, on real files and LMDB. The model: after a kill
 * of everything all that was acknowledged is there; after a power cut a prefix of it, with all that was
 * applied; and a version names one value for ever.
 */
class PowerCuts {
  lostSectors = 0
  lostWrites = 0
  private readonly group: ReplicaGroup
  private readonly copies: readonly number[]
  private readonly random: () => number
  private written: Written[] = []
  /** So many of them are in the state of the primary. */
  private applied = 0
  private primary = 0
  private readonly given = new Map<number, string>()
  private texts = 0

  constructor(group: ReplicaGroup, copies: number, random: () => number) {
    this.group = group
    this.copies = [...Array(copies).keys()]
    this.random = random
  }

  async round(): Promise<void> {
    const writes = 1 + Math.floor(this.random() * 12)
    for (let write = 0; write < writes; write += 1) {
      await this.write()
      const chance = this.random()
      if (chance < 0.15) {
        await this.group.apply(this.primary)
        this.applied = this.written.length
      } else if (chance < 0.3) await this.group.apply(this.copies.at(-1)!)
    }
    await this.end(this.random() < 0.7)
  }

  private next(): { key: string; text: string } {
    this.texts += 1
    const key = KEYS[Math.floor(this.random() * KEYS.length)]!
    return { key, text: `${this.texts}`.padEnd(this.random() < 0.2 ? 20_000 : 40) }
  }

  private async write(): Promise<void> {
    const { key, text } = this.next()
    let version: number | undefined
    const answered = this.group.primary.write(setCall(key, text)).then((answer) => {
      version = answer as number
    })
    while (version === undefined) await this.group.pass(100)
    await answered
    this.give(version, text)
    this.written.push({ key, text, version })
  }

  private give(version: number, text: string): void {
    const former = this.given.get(version)
    if (former !== undefined && former !== text) throw new Error(`version ${version} twice`)
    this.given.set(version, text)
  }

  /** Everything ends at once; then a copy that was in sync is primary. */
  private async end(isPowerCut: boolean): Promise<void> {
    const { group, copies, random } = this
    const inSync = group.stored.members
    const doubtful = this.next()
    void group.primary.write(setCall(doubtful.key, doubtful.text)).catch(() => undefined)
    if (random() < 0.5) await new Promise((resolve) => void setImmediate(resolve))
    const files = copies.map((copy) => group.filesOf(copy) as PowerCutFiles)
    await Promise.all(copies.map((copy) => group.kill(copy)))
    if (isPowerCut) {
      for (const each of files) this.lostSectors += await each.cutPower(random)
    }
    const chosen = inSync[Math.floor(random() * inSync.length)]!
    let isOpen = false
    const opening = group.promote(chosen).then(() => (isOpen = true))
    while (!isOpen) await group.pass(100)
    await opening
    for (const copy of copies) if (copy !== chosen) await group.host(copy)
    while (group.stored.members.length < copies.length) await group.pass(100)
    this.check(doubtful, isPowerCut, chosen === this.primary ? this.applied : 0)
    this.primary = chosen
    this.applied = 0
    for (const failure of group.failures) throw failure
  }

  private check(doubtful: { key: string; text: string }, isPowerCut: boolean, least: number): void {
    const found = this.state()
    const all = [...this.written, { ...doubtful, version: 0 }]
    const from = isPowerCut ? least : this.written.length
    for (let count = all.length; count >= from; count -= 1) {
      const expected = new Map(all.slice(0, count).map(({ key, text }) => [key, text]))
      if (!KEYS.every((key) => found.get(key)?.text.trim() === expected.get(key)?.trim())) continue
      for (const { text, version } of found.values()) this.give(version, text)
      this.lostWrites += Math.max(0, this.written.length - count)
      this.written = all.slice(0, count).map((each) => {
        return each.version === 0 ? { ...each, version: found.get(each.key)!.version } : each
      })
      return
    }
    throw new Error('P1: what is there is no prefix of what was acknowledged')
  }

  private state(): Map<string, { text: string; version: number }> {
    const found = new Map<string, { text: string; version: number }>()
    for (const key of KEYS) {
      const entry = readEntryAnswer(this.group.primary.read({ type: 'entry', key }))
      if (entry !== undefined) found.set(key, entry)
    }
    return found
  }
}

describe("fsync: 'everysec', when the machine loses its power", () => {
  test.each([1, 2])(
    'P1, P2, P8: %i copies keep a prefix, and no version names two values',
    async (copies) => {
      const seen = { lostSectors: 0, lostWrites: 0 }
      for (let seed = 1; seed <= SEEDS; seed += 1) {
        await inDirectory(async (directory) => {
          const group = await ReplicaGroup.start({
            directory,
            copies,
            reconnects: true,
            withJournals: true,
            fsync: 'everysec',
            files: () => new PowerCutFiles(),
          })
          const cuts = new PowerCuts(group, copies, randomFrom(seed))
          try {
            for (let round = 0; round < ROUNDS; round += 1) await cuts.round()
          } catch (error) {
            throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
          } finally {
            await group.close()
          }
          seen.lostSectors += cuts.lostSectors
          seen.lostWrites += cuts.lostWrites
        })
      }
      // Or nothing was tried.
      expect(seen.lostSectors).toBeGreaterThan(0)
      expect(seen.lostWrites).toBeGreaterThan(0)
    },
    300_000,
  )
})
