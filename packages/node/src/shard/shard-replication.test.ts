import { describe, expect, test } from 'vitest'
import type { LogFrame } from './log/frame.js'
import { incrementCall, readCounterAnswer, readValueAnswer, setCall } from './testing/calls.js'
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

function logEnd(under: ShardUnderTest): number {
  const { replica } = under.shard as unknown as { replica: { log: { lastRevision: number } } }
  return replica.log.lastRevision
}
