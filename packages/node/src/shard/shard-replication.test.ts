import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { WatchPosition } from '@kv/protocol'
import { describe, expect, test, vi } from 'vitest'
import { RecordingSink } from './feed/testing/recording-sink.js'
import { CLOSING_MARK_NAME } from './log/closing-mark.js'
import type { LogFrame } from './log/frame.js'
import { HUNG_APPEND_MS } from './log/options.js'
import { Shard } from './shard.js'
import {
  faultOf,
  incrementCall,
  readCounterAnswer,
  readValueAnswer,
  setCall,
} from './testing/calls.js'
import { inDirectory } from './testing/directory.js'
import { ReplicaGroup, type ReplicaGroupOptions } from './testing/replica-group.js'
import { framesIn } from './testing/scripted-primary.js'
import type { ShardUnderTest } from './testing/shard-under-test.js'

const CLIENT = 7_000_000

function withGroup(
  options: Omit<ReplicaGroupOptions, 'directory'>,
  use: (group: ReplicaGroup) => Promise<void>,
): Promise<void> {
  return inDirectory(async (directory) => {
    const group = await ReplicaGroup.start({ directory, ...options })
    try {
      await use(group)
    } finally {
      await group.close()
    }
  })
}

function valueIn(under: ShardUnderTest, key: string): string | undefined {
  return readValueAnswer(under.read({ type: 'get', key }))
}

/** The logs of all copies, which nobody has open. */
function logsOf(group: ReplicaGroup, copies: number): Promise<LogFrame[][]> {
  return Promise.all(Array.from({ length: copies }, (_, copy) => framesIn(group.directoryOf(copy))))
}

describe.each([
  { withJournals: false, kind: 'logs of their own' },
  { withJournals: true, kind: 'journals' },
])('a shard of several copies, with $kind', ({ withJournals }) => {
  test('P1, P2: written, then all at rest → every log the same, byte for byte', () =>
    withGroup({ copies: 3, withJournals }, async (group) => {
      for (let value = 0; value < 20; value += 1) {
        await group.primary.send([setCall('a', `${value}`), setCall(`k${value}`, 'x')])
      }
      await group.untilEqual()
      await group.close()
      const [first, ...others] = await logsOf(group, 3)
      expect(first?.length).toBeGreaterThan(20)
      for (const other of others) expect(other).toEqual(first)
    }))

  test('P1: a write → answered once every copy in sync has it on its disk', () =>
    withGroup({ copies: 3, withJournals }, async (group) => {
      group.pipes.get(1)!.isHeld = true
      const { answers } = group.primary.sendUnanswered([setCall('a', 'x')])
      const { revision } = group.primary.shard.report()
      await group.until(() => group.backup(2).report().revision > revision)
      for (let turns = 0; turns < 100; turns += 1) await group.until(() => true)
      expect(answers.byPosition.size).toBe(0)
      expect(valueIn(group.primary, 'a')).toBeUndefined()
      group.pipes.get(1)!.letGo()
      await answers.at(0)
      expect(group.backup(1).report().revision).toBe(revision + 1)
      expect(valueIn(group.primary, 'a')).toBe('x')
    }))

  test('P1, P4: the primary is killed → a backup serves what was acknowledged, and knows retries', () =>
    withGroup({ copies: 3, withJournals }, async (group) => {
      const attempt = { clientId: CLIENT, sequence: 1, isResend: false }
      const first = await group.primary.attempt(incrementCall('n', 5), attempt)
      const { answers } = group.primary.sendUnanswered([setCall('a', 'in doubt')])
      await group.kill(0)
      // What became of it, its client can't know.
      expect(answers.byPosition.size).toBeLessThan(2)
      await group.promote(1)
      expect(
        await group.primary.attempt(incrementCall('n', 5), { ...attempt, isResend: true }),
      ).toEqual(first)
      const read = await group.primary.write(incrementCall('n', 0))
      expect(readCounterAnswer(read)[0]).toBe(5)
    }))

  test('P2: an old primary with a longer log returns → its tail is cut, all logs are the same', () =>
    withGroup({ copies: 3, withJournals, reconnects: true }, async (group) => {
      await group.primary.write(setCall('a', 'kept'))
      for (const pipe of group.pipes.values()) pipe.isHeld = true
      group.primary.sendUnanswered([setCall('a', 'never acknowledged')])
      const { revision } = group.primary.shard.report()
      await group.until(() => logEnd(group.primary) > revision)
      await group.kill(0)
      await group.promote(2)
      expect(valueIn(group.primary, 'a')).toBe('kept')
      await group.primary.write(setCall('b', 'next'))
      await group.host(0)
      await group.untilInSync(3)
      await group.primary.write(setCall('c', 'last'))
      await group.untilEqual()
      await group.close()
      const [first, ...others] = await logsOf(group, 3)
      for (const other of others) expect(other).toEqual(first)
      expect(first?.at(-1)).toMatchObject({ epoch: 2 })
    }))

  test('a backup that is killed amid writes and comes back → catches up from the log, is in sync', () =>
    withGroup({ copies: 2, withJournals, minInSync: 1, reconnects: true }, async (group) => {
      await group.primary.write(setCall('a', '0'))
      const { answers } = group.primary.sendUnanswered([setCall('a', '1')])
      await group.kill(1)
      await answers.at(0)
      expect(group.stored.members).toEqual([0])
      for (let value = 2; value < 40; value += 1)
        await group.primary.write(setCall('a', `${value}`))
      await group.host(1)
      const writing = group.primary.write(setCall('a', '40'))
      await group.untilInSync(2)
      await writing
      await group.untilEqual()
      await group.kill(0)
      await group.promote(1)
      expect(valueIn(group.primary, 'a')).toBe('40')
    }))
})

function watching(under: ShardUnderTest, position: WatchPosition): RecordingSink {
  const sink = new RecordingSink({ prefix: '' }, { ...position, frontier: undefined })
  under.shard.watchers.open(sink.feed, position)
  return sink
}

function logEnd(under: ShardUnderTest): number {
  const { replica } = under.shard as unknown as { replica: { log: { lastRevision: number } } }
  return replica.log.lastRevision
}

describe('a shard of several copies: who is waited for', () => {
  test('P1: fewer copies in sync than asked for → writes wait, until there are enough', () =>
    withGroup({ copies: 2, reconnects: true }, async (group) => {
      await group.primary.write(setCall('a', '0'))
      await group.kill(1)
      await group.pass(100)
      await group.untilInSync(1)
      const { answers } = group.primary.sendUnanswered([setCall('a', '1')])
      await group.pass(5_000)
      expect(answers.byPosition.size).toBe(0)
      expect(group.primary.shard.report().writesBlocked).toMatch('1 of at least 2 copies')
      expect(valueIn(group.primary, 'a')).toBe('0')
      await group.host(1)
      await answers.at(0)
      expect(valueIn(group.primary, 'a')).toBe('1')
      expect(group.primary.shard.report().writesBlocked).toBeUndefined()
    }))

  test('P1: a backup that says nothing → waited for until the coordinator has persisted the set', () =>
    withGroup({ copies: 2, minInSync: 1 }, async (group) => {
      group.isAnswering = false
      group.pipes.get(1)!.isHeld = true
      const { answers } = group.primary.sendUnanswered([setCall('a', 'x')])
      await group.pass(4_000)
      expect(group.pipes.get(1)!.brokenBy).toMatch('nothing came')
      expect(answers.byPosition.size).toBe(0)
      group.answerAll()
      await answers.at(0)
      expect(group.stored.members).toEqual([0])
    }))

  test('P1: an append that hangs, with another copy in sync → the shard fails, calls are in doubt', () =>
    withGroup({ copies: 2 }, async (group) => {
      const fileSystem = group.filesOf(0)
      await group.primary.write(setCall('a', 'x'))
      fileSystem.isHanging = true
      const { answers } = group.primary.sendUnanswered([setCall('a', 'y')])
      await group.until(() => fileSystem.hangs)
      group.tick(HUNG_APPEND_MS)
      expect(group.failures).toEqual([])
      group.tick(1)
      expect(faultOf(await answers.at(0))).toBe('UNAVAILABLE unknown')
      expect(group.failures[0]).toMatchObject({
        cause: { message: expect.stringMatching('2000 ms') },
      })
    }))

  test('P1, P4: closed while followers are silent → in doubt, and the log is closed cleanly', () =>
    withGroup({ copies: 2 }, async (group) => {
      group.pipes.get(1)!.isHeld = true
      const { answers } = group.primary.sendUnanswered([setCall('a', 'x')])
      const { shard } = group.primary
      await group.until(() => logEnd(group.primary) > shard.report().revision)
      await shard.close()
      expect(faultOf(await answers.at(0))).toBe('UNAVAILABLE unknown')
      const names = await readdir(join(group.directoryOf(0), 'log'))
      expect(names.some((name) => name.endsWith('.log'))).toBe(true)
      expect(names).toContain(CLOSING_MARK_NAME)
    }))

  test('released while its epoch waits for followers → opening ends, at once', () =>
    inDirectory(async (directory) => {
      let opening: Shard | undefined
      const opened = Shard.open({
        directory,
        create: true,
        shard: 5,
        clusterId: 'cluster-1',
        epoch: 1,
        clock: { now: () => 0 },
        onFailure: () => undefined,
        replication: {
          copy: 0,
          inSync: { version: 1, members: [0, 1] },
          minInSync: 1,
          ask: () => undefined,
        },
        onOpening: (shard) => {
          opening = shard
          void shard.close()
        },
      })
      await expect(opened).rejects.toThrow('could not begin epoch 1')
      expect(opening?.isApplied).toBe(true)
    }))

  test('P6: a watcher goes on at a promoted copy from where it was', () =>
    withGroup({ copies: 2, minInSync: 1, reconnects: true }, async (group) => {
      await group.primary.send([setCall('a', '1'), setCall('b', '2')])
      const first = watching(group.primary, { epoch: 1, revision: 1, seen: 0 })
      await vi.waitFor(() => expect(first.told.length).toBe(2))
      const { revision } = first.told[0]!
      await group.untilEqual()
      await group.kill(0)
      await group.promote(1)
      const next = watching(group.primary, { epoch: 1, revision, seen: 1 })
      await group.primary.write(setCall('c', '3'))
      await vi.waitFor(() => expect(next.told.length).toBe(2))
      expect(next.told.map(({ key }) => key)).toEqual(['b', 'c'])
    }))
})
