import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { WireWriter } from '@kv/protocol'
import { describe, expect, test } from 'vitest'
import { Backup, type BackupOptions } from './backup.js'
import { nodeFileSystem, type LogFileSystem } from './log/file-system.js'
import type { LogFrame } from './log/frame.js'
import { HUNG_APPEND_MS } from './log/options.js'
import { positionAfter } from './log/position.js'
import { closeReplica, openReplica } from './replica.js'
import { readValueAnswer, setCall } from './testing/calls.js'
import { inDirectory } from './testing/directory.js'
import { textOf } from './testing/entries.js'
import { framesIn, ScriptedPrimary } from './testing/scripted-primary.js'
import { ShardUnderTest } from './testing/shard-under-test.js'

const EPOCH = 1

function optionsIn(directory: string, changes: Partial<BackupOptions> = {}): BackupOptions {
  return {
    directory: join(directory, 'backup'),
    clusterId: 'cluster-1',
    shard: 5,
    create: true,
    copy: 1,
    hosting: 1,
    clock: { now: () => 1_000_000 },
    onFailure: (error) => {
      throw error
    },
    ...changes,
  }
}

/** A log in which the values of `a` are `0`, `1`, …, each in a frame of its own. */
async function writeFrames(directory: string, count: number): Promise<LogFrame[]> {
  const under = await ShardUnderTest.open({ directory: join(directory, 'primary'), create: true })
  for (let value = 0; value < count; value += 1) await under.write(setCall('a', `${value}`))
  await under.shard.close()
  return framesIn(join(directory, 'primary'))
}

function valueIn(backup: Backup, key = 'a'): string | undefined {
  const writer = new WireWriter()
  backup.read({ type: 'get', key }, 0, writer)
  return readValueAnswer(writer.written())
}

/** A following copy of a log with `count` values, all of them synced, `committed` of them known so. */
async function withFollower(
  count: number,
  committed: number,
  use: (under: {
    directory: string
    frames: LogFrame[]
    backup: Backup
    primary: ScriptedPrimary
  }) => Promise<void>,
): Promise<void> {
  await inDirectory(async (directory) => {
    const frames = await writeFrames(directory, count)
    const backup = await Backup.open(optionsIn(directory))
    const primary = new ScriptedPrimary(backup, EPOCH)
    await primary.join()
    await primary.stream(frames, 0)
    // The first frame begins the epoch.
    primary.commit(1 + committed)
    try {
      await use({ directory, frames, backup, primary })
    } finally {
      await backup.close()
    }
  })
}

describe('backup: what it reads', () => {
  test('P3: frames that are synced and not committed → not read, until they are', () =>
    withFollower(3, 1, async ({ backup, primary }) => {
      expect(valueIn(backup)).toBe('0')
      expect(backup.report()).toMatchObject({ revision: 4, committedRevision: 2 })
      primary.commit(4)
      expect(valueIn(backup)).toBe('2')
    }))

  test('P2: only what is committed is applied', () =>
    withFollower(3, 1, async ({ directory, backup }) => {
      await backup.apply()
      await backup.close()
      const { shard, clock } = await ShardUnderTest.open({
        directory: join(directory, 'backup'),
        epoch: 2,
      })
      expect(shard.report().appliedRevision).toBe(2)
      expect(clock.nowMs).toBe(1_000_000)
      await shard.close()
    }))

  test('reopened → what was not known to be committed waits again', () =>
    withFollower(3, 1, async ({ directory, frames, backup }) => {
      await backup.apply()
      await backup.close()
      const again = await Backup.open(optionsIn(directory, { create: false }))
      expect(valueIn(again)).toBe('0')
      const primary = new ScriptedPrimary(again, EPOCH)
      const { last } = await primary.join(positionAfter(frames.at(-1) as LogFrame))
      expect(last.revision).toBe(4)
      primary.commit(4)
      expect(valueIn(again)).toBe('2')
      await again.close()
    }))
})

describe('backup: whether it may answer reads', () => {
  test('in sync with a primary → yes; not any more when the conversation ends', () =>
    withFollower(3, 1, async ({ backup }) => {
      expect(backup.isReadable).toBe(true)
      void new ScriptedPrimary(backup, EPOCH + 1)
      expect(backup.isReadable).toBe(false)
    }))

  test('it lacks what the primary says is committed → no, until it is synced', () =>
    inDirectory(async (directory) => {
      const frames = await writeFrames(directory, 3)
      const backup = await Backup.open(optionsIn(directory))
      expect(backup.isReadable).toBe(false)
      const primary = new ScriptedPrimary(backup, EPOCH)
      await primary.join()
      expect(backup.isReadable).toBe(false)
      await primary.stream(frames.slice(0, 2), 4)
      expect(backup.isReadable).toBe(false)
      await primary.stream(frames.slice(2), 4)
      expect(backup.isReadable).toBe(true)
      expect(valueIn(backup)).toBe('2')
      await backup.close()
    }))
})

describe('backup: its log', () => {
  test('P2: cut where the primary says, then other frames → the log of the primary, reopened too', () =>
    withFollower(3, 1, async ({ directory, frames, backup }) => {
      const kept = frames[1] as LogFrame
      const other = new ScriptedPrimary(backup, EPOCH + 1)
      await other.join(positionAfter(kept))
      expect(backup.report().revision).toBe(2)
      await other.stream(frames.slice(2), 4)
      expect(valueIn(backup)).toBe('2')
      await backup.close()
      expect(await framesIn(join(directory, 'backup'))).toEqual(frames)
    }))

  test('P2: asked to cut what is committed → unfit, and nothing is cut', () =>
    withFollower(3, 2, async ({ frames, backup }) => {
      const other = new ScriptedPrimary(backup, EPOCH + 1)
      other.say({ type: 'greet', epoch: EPOCH + 1 })
      await other.hear('state')
      other.say({ type: 'cut', epoch: EPOCH + 1, after: positionAfter(frames[0] as LogFrame) })
      await other.hear('unfit')
      expect(backup.report().revision).toBe(4)
    }))

  test('P2: a frame of another log → refused, the conversation ends', () =>
    withFollower(1, 1, async ({ directory, frames, backup }) => {
      const others = await writeFrames(join(directory, 'other'), 4)
      const primary = new ScriptedPrimary(backup, EPOCH)
      await primary.join(positionAfter(frames.at(-1) as LogFrame))
      await primary.stream(others.slice(2), 0)
      expect(primary.broken).toEqual(['broken-chain'])
      expect(backup.report().revision).toBe(2)
    }))

  test('P1: an append that fails → the copy fails, and what it holds is never counted', () =>
    inDirectory(async (directory) => {
      const frames = await writeFrames(directory, 2)
      const failures: Error[] = []
      const fileSystem = failingFileSystem()
      const backup = await Backup.open(
        optionsIn(directory, { fileSystem, onFailure: (error) => failures.push(error) }),
      )
      const primary = new ScriptedPrimary(backup, EPOCH)
      await primary.join()
      fileSystem.isFailing = true
      await primary.stream(frames, 0)
      expect(primary.broken).toHaveLength(1)
      expect(failures).toHaveLength(1)
      expect(primary.heard.some(({ type }) => type === 'durable')).toBe(false)
      await expect(backup.promote()).rejects.toBe(failures[0])
      await backup.close()
    }))

  test('an append that hangs → counts as one that failed', () =>
    inDirectory(async (directory) => {
      const frames = await writeFrames(directory, 1)
      const clock = { nowMs: 0 }
      const failures: Error[] = []
      const fileSystem = failingFileSystem()
      const backup = await Backup.open(
        optionsIn(directory, {
          fileSystem,
          clock: { now: () => clock.nowMs },
          onFailure: (error) => failures.push(error),
        }),
      )
      const primary = new ScriptedPrimary(backup, EPOCH)
      await primary.join()
      fileSystem.isHanging = true
      const streamed = primary.stream(frames, 0)
      clock.nowMs = HUNG_APPEND_MS
      backup.onTick()
      expect(failures).toEqual([])
      clock.nowMs += 1
      backup.onTick()
      await streamed
      expect(failures).toHaveLength(1)
      await backup.close()
    }))
})

describe('backup: promotion', () => {
  test('P1, P3, P4: a promoted copy → what a restart of its directory gives', () =>
    withFollower(3, 1, async ({ directory, backup }) => {
      await backup.apply()
      const restarted = join(directory, 'restarted')
      await cp(join(directory, 'backup'), restarted, { recursive: true })
      const promoted = await backup.promote()
      const reopened = await openReplica({
        ...optionsIn(directory),
        directory: restarted,
        create: false,
      })
      for (const { log, overlay, sessions, state, lastTimeMs } of [promoted, reopened]) {
        expect(log.lastRevision).toBe(4)
        expect(lastTimeMs).toBe(1_000_000)
        expect(state.marks.appliedRevision).toBe(2)
        expect(textOf(overlay.get('a'))).toBe('2')
        const { sessions: stored, floor } = sessions.freeze(4)
        expect(floor).toBe(0)
        expect(stored[0]?.results.map(({ revision }) => revision)).toEqual([2, 3, 4])
      }
      await closeReplica(promoted)
      await closeReplica(reopened)
      // Nothing of it is the backup's any more.
      await backup.close()
      await expect(backup.promote()).rejects.toThrow('promoted already')
    }))
})

/** The real files, with durable writes that fail or hang when the test says so. */
function failingFileSystem(): LogFileSystem & { isFailing: boolean; isHanging: boolean } {
  const faults = { isFailing: false, isHanging: false }
  const open: LogFileSystem['open'] = async (path, mode) => {
    const file = await nodeFileSystem.open(path, mode)
    if (mode !== 'durable') return file
    return {
      write: (...how) => {
        if (faults.isFailing) return Promise.reject(new Error('EIO: the disk is broken'))
        if (faults.isHanging) return new Promise(() => undefined)
        return file.write(...how)
      },
      read: (...how) => file.read(...how),
      sync: () => file.sync(),
      size: () => file.size(),
      close: () => file.close(),
    }
  }
  return Object.assign(faults, nodeFileSystem, { open })
}
