import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { WireWriter } from '@kv/protocol'
import { describe, expect, test } from 'vitest'
import { Backup } from './backup.js'
import { lastRevisionOf, type LogFrame } from './log/frame.js'
import { isDamage } from './replica.js'
import type { SnapshotPart } from './snapshot/parts.js'
import { LiveCopy, partsOf } from './snapshot/testing/live-copy.js'
import { readValueAnswer, setCall } from './testing/calls.js'
import { inDirectory } from './testing/directory.js'
import { framesIn, ScriptedPrimary } from './testing/scripted-primary.js'
import { ShardUnderTest } from './testing/shard-under-test.js'

const EPOCH = 1
const KEYS = 30

interface UnderTest {
  readonly directory: string
  readonly failures: Error[]
  readonly backup: Backup
  /** The log of the primary, and a snapshot of it that was read while it grew. */
  readonly frames: readonly LogFrame[]
  readonly parts: readonly SnapshotPart[]
  readonly start: number
  readonly end: number
}

function optionsIn(directory: string, failures: Error[]) {
  return {
    directory: join(directory, 'backup'),
    clusterId: 'cluster-1',
    shard: 5,
    create: false,
    copy: 1,
    hosting: 1,
    clock: { now: () => 1_000_000 },
    onFailure: (error: Error) => failures.push(error),
  }
}

async function withBackup(use: (under: UnderTest) => Promise<void>): Promise<void> {
  await inDirectory(async (directory) => {
    const primary = await ShardUnderTest.open({
      directory: join(directory, 'primary'),
      create: true,
    })
    for (let write = 0; write < 2 * KEYS; write += 1) {
      await primary.write(setCall(`key-${write % KEYS}`, `${write}`.padEnd(30_000, '.')))
    }
    await primary.shard.close()
    const frames = await framesIn(join(directory, 'primary'))
    const live = await LiveCopy.open({
      ...optionsIn(directory, []),
      directory: join(directory, 'primary'),
    })
    live.commit(KEYS)
    const parts = await partsOf(live.snapshot(), () => void live.commit(4))
    await live.close()
    const [begin, end] = [parts[0], parts.at(-1)]
    const old = await ShardUnderTest.open({ directory: join(directory, 'backup'), create: true })
    await old.write(setCall('of another log', 'x'))
    await old.shard.apply()
    await old.shard.close()
    const failures: Error[] = []
    const backup = await Backup.open(optionsIn(directory, failures))
    if (begin?.type !== 'snapshotBegin' || end?.type !== 'snapshotEnd') {
      throw new Error('the snapshot is not whole')
    }
    const { revision: start } = begin.begin.start
    await use({ directory, failures, backup, frames, parts, start, end: end.end.revision })
    await backup.close()
  })
}

function say(primary: ScriptedPrimary, parts: readonly SnapshotPart[]): void {
  for (const part of parts) primary.say({ ...part, epoch: EPOCH })
}

function valueIn(backup: Backup, key: string): string | undefined {
  const writer = new WireWriter()
  backup.read({ type: 'get', key }, 0, writer)
  return readValueAnswer(writer.written())?.replace(/\.+$/, '')
}

async function greeted(backup: Backup): Promise<ScriptedPrimary> {
  const primary = new ScriptedPrimary(backup, EPOCH)
  primary.say({ type: 'greet', epoch: EPOCH })
  await primary.hear('state')
  return primary
}

describe('a backup and a snapshot', () => {
  test('P1, P2: of a log that is another one → replaced, then it follows and is equal', () =>
    withBackup(async ({ directory, failures, backup, frames, parts, start, end }) => {
      const primary = await greeted(backup)
      say(primary, parts)
      const pages = parts.filter((part) => part.type === 'snapshotPage').length
      expect(pages).toBeGreaterThan(3)
      expect((await primary.hear('joined')).last.revision).toBe(start)
      expect((await primary.hear('snapshotTaken')).pages).toBe(pages)
      expect(valueIn(backup, 'of another log')).toBeUndefined()
      const rest = frames.filter((frame) => lastRevisionOf(frame) > start)
      await primary.stream(rest, lastRevisionOf(rest.at(-1)!))
      for (let key = 0; key < KEYS; key += 1) {
        expect(valueIn(backup, `key-${key}`)).toBe(`${KEYS + key}`)
      }
      expect(end).toBeGreaterThan(start)
      await backup.apply()
      await backup.close()
      const again = await Backup.open(optionsIn(directory, failures))
      expect(valueIn(again, 'key-3')).toBe(`${KEYS + 3}`)
      expect(again.report().revision).toBe(lastRevisionOf(rest.at(-1)!))
      await again.close()
      expect(await readdir(directory)).toEqual(['backup', 'primary'])
      expect(failures).toEqual([])
    }))

  test('a conversation that ends in the middle → the old copy stays; the next one builds it', () =>
    withBackup(async ({ directory, backup, parts, start }) => {
      const first = await greeted(backup)
      say(first, parts.slice(0, 4))
      await first.hear('snapshotTaken')
      first.end()
      const second = await greeted(backup)
      expect(valueIn(backup, 'of another log')).toBe('x')
      expect(await readdir(directory)).toEqual(['backup', 'primary'])
      say(second, parts)
      expect((await second.hear('joined')).last.revision).toBe(start)
    }))

  test('P8: a damaged page → the conversation ends, the old copy stays', () =>
    withBackup(async ({ failures, backup, parts }) => {
      const primary = await greeted(backup)
      say(primary, [...parts.slice(0, 2), ...parts.slice(3)])
      await primary.until(() => primary.broken.length > 0)
      expect(primary.broken[0]).toMatch('the snapshot is damaged')
      expect(valueIn(backup, 'of another log')).toBe('x')
      expect(failures).toEqual([])
    }))

  test('P8: not caught up with its snapshot → it is not promoted, and not opened again', () =>
    withBackup(async ({ directory, backup, parts }) => {
      const primary = await greeted(backup)
      say(primary, parts)
      await primary.hear('joined')
      await expect(backup.promote()).rejects.toThrow(/the log ends at \d+/)
      await backup.close()
      const error: unknown = await Backup.open(optionsIn(directory, [])).catch((cause) => cause)
      expect(isDamage(error)).toBe(true)
    }))

  test('closing in the middle → waits, and leaves one copy', () =>
    withBackup(async ({ directory, backup, parts }) => {
      const primary = await greeted(backup)
      say(primary, parts)
      await primary.hear('snapshotTaken')
      await backup.close()
      expect(await readdir(directory)).toEqual(['backup', 'primary'])
    }))
})
