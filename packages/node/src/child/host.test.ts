import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Call } from '@kv/protocol'
import { decodeNodeMessage, MESSAGE_BYTES_MAX } from '@kv/protocol'
import { describe, expect, test, vi } from 'vitest'
import { setCall } from '../shard/testing/calls.js'
import { CommitFailed } from '../shard/state/commit-failure.js'
import { State } from '../shard/state/state.js'
import { inDirectory } from '../shard/testing/directory.js'
import { framesIn, ScriptedPrimary } from '../shard/testing/scripted-primary.js'
import { LINK_BACKLOG_BYTES_MAX } from '../link/data-link.js'
import { UNREAD_BYTES_MAX } from './connection.js'
import { bodyOf, readsBody, writesBody } from './testing/batches.js'
import { until } from './testing/fake-shard.js'
import { HostUnderTest } from './testing/host-under-test.js'

const GET: Call = { type: 'get', key: 'a' }

function withHost(use: (under: HostUnderTest) => Promise<void>): Promise<void> {
  return inDirectory(async (root) => {
    const under = new HostUnderTest(root)
    await under.open()
    under.connect()
    try {
      await use(under)
    } finally {
      await under.host.close()
    }
  })
}

describe('host: replica reads', () => {
  const replicaReads = (calls: readonly Call[]): Uint8Array =>
    bodyOf({ kind: 'replicaReads' }, calls)

  test('of a primary → as any reads', () =>
    withHost(async (under) => {
      await under.write([setCall('a', 'one')])
      expect(await under.answersTo(under.send(replicaReads([GET])), 1)).toEqual(['one'])
    }))

  test('P3: a backup in sync → answers them with what is committed, and nothing else', () =>
    inDirectory(async (root) => {
      const former = new HostUnderTest(join(root, 'primary'))
      await former.open()
      former.connect()
      await former.write([setCall('a', 'one'), setCall('b', 'two')])
      await former.write([setCall('a', 'three')])
      await former.host.close()
      const frames = await framesIn(former.directory, 0)
      const under = new HostUnderTest(join(root, 'backup'))
      under.connect()
      await under.back()
      const ask = (body: Uint8Array, count = 1): Promise<unknown[]> =>
        under.answersTo(under.send(body), count)
      expect(await ask(replicaReads([GET]))).toEqual(['MOVED not-applied'])
      const primary = new ScriptedPrimary(under.host.replicas.backup(0)!, 1)
      await primary.join()
      await primary.stream(frames, 0)
      expect(await ask(replicaReads([GET]))).toEqual(['MOVED not-applied'])
      primary.commit(3)
      expect(await ask(replicaReads([GET, { type: 'has', key: 'b' }]), 2)).toEqual(['one', true])
      primary.commit(4)
      expect(await ask(replicaReads([GET]))).toEqual(['three'])
      expect(under.host.measure().copies).toMatchObject([{ copy: 1, reads: 3 }])
      expect(await ask(readsBody([GET]))).toEqual(['MOVED not-applied'])
      expect(await ask(writesBody([setCall('a', 'x')]))).toEqual(['MOVED not-applied'])
      await under.host.close()
    }))
})

describe('host: batches', () => {
  test('writes, then reads → answered, each to its own connection', () =>
    withHost(async (under) => {
      under.connect(2)
      expect(await under.write([setCall('a', 'one'), setCall('b', 'two')])).toEqual([2, 3])
      expect(await under.read([GET, { type: 'has', key: 'c' }], 2)).toEqual(['one', false])
      expect(under.sent.map(({ connection }) => connection)).toEqual([1, 2])
    }))

  test('P7: reads of large values among writes → replies that a client and the link take', () =>
    withHost(async (under) => {
      const keys = Array.from({ length: 12 }, (_, index) => `key ${index}`)
      const calls: Call[] = [
        ...keys.map((key) => setCall(key, 'x'.repeat(100_000))),
        ...keys.flatMap((key) => Array<Call>(6).fill({ type: 'get', key })),
      ]
      const answers = await under.write(calls)
      expect(answers.slice(12)).toEqual(Array(72).fill('x'.repeat(100_000)))
      for (const { message } of under.sent) {
        expect(message.length).toBeLessThan(2 * MESSAGE_BYTES_MAX)
      }
    }))

  test('P7: a client takes nothing → its reads wait; it takes some → they go on', () =>
    withHost(async (under) => {
      await under.write([setCall('a', 'x'.repeat(400_000))])
      const id = under.send(readsBody(Array<Call>(8).fill(GET)))
      // The answer to the write, and three of the values.
      await until(() => under.sent.length === 4)
      for (let turn = 0; turn < 5; turn += 1) await until(() => true)
      expect(under.sent).toHaveLength(4)
      const bytes = UNREAD_BYTES_MAX
      const answered = under.answersTo(id, 8)
      let isAnswered = false
      void answered.then(() => (isAnswered = true))
      await until(() => {
        under.clients.onFrame({ type: 'window', connection: 1, bytes })
        return isAnswered
      })
      expect(await answered).toEqual(Array(8).fill('x'.repeat(400_000)))
    }))

  test('P7: the link to the clients takes no more → reads wait; it does again → they go on', () =>
    withHost(async (under) => {
      await under.write([setCall('a', 'one')])
      under.bufferedBytes = LINK_BACKLOG_BYTES_MAX
      const before = under.sent.length
      const id = under.send(readsBody([GET]))
      for (let turn = 0; turn < 5; turn += 1) await until(() => true)
      expect(under.sent).toHaveLength(before)
      under.bufferedBytes = 0
      under.clients.onDrain()
      expect(await under.answersTo(id, 1)).toEqual(['one'])
    }))

  test('its connection is gone → a batch is dropped, and nothing is sent to it', () =>
    withHost(async (under) => {
      under.send(writesBody([setCall('a', 'x')]))
      under.clients.onFrame({ type: 'close', connection: 1 })
      under.send(readsBody([GET]))
      under.connect(2)
      expect(await under.read([GET], 2)).toEqual([null])
      expect(await under.write([setCall('b', 'x')], 2)).toEqual([3])
      expect(under.sent.every(({ connection }) => connection === 2)).toBe(true)
    }))

  test.each([
    ['a body that is none', Buffer.of(0xc1)],
    ['a read with bytes behind it', Buffer.concat([readsBody([GET]), Buffer.of(0)])],
    ['a cut write', writesBody([setCall('a', 'x')]).slice(0, -1)],
  ])('%s → the client is told, and its connection ends', (_name, body) =>
    withHost(async (under) => {
      under.send(body)
      expect(under.sent).toHaveLength(1)
      const [{ message, final } = { message: new Uint8Array(0), final: false }] = under.sent
      expect(decodeNodeMessage(message)).toMatchObject({ type: 'failure' })
      expect(final).toBe(true)
      under.send(readsBody([GET]))
      expect(under.sent).toHaveLength(1)
    }),
  )

  test('a reply from the coordinator → an error of ours', () =>
    withHost(async (under) => {
      const message = new Uint8Array(0)
      const frame = { type: 'reply', connection: 1, batchId: 1, final: true, message } as const
      expect(() => under.clients.onFrame(frame)).toThrow(/a reply came from the coordinator/)
      await Promise.resolve()
    }))
})

describe('host: shards', () => {
  test('released → what was taken is answered, what comes is moved, another may open it', () =>
    withHost(async (under) => {
      const taken = under.send(writesBody([setCall('a', 'x')]))
      const releasing = under.host.replicas.release(0, 1)
      expect(await under.read([GET])).toEqual(['MOVED not-applied'])
      await releasing
      expect(await under.answersTo(taken, 1)).toEqual([2])
      expect(under.reports.at(-1)).toEqual({ type: 'released', shard: 0, hosting: 1 })
      await under.open(2)
      expect(under.reports.at(-1)).toEqual({ type: 'opened', shard: 0, hosting: 2, epoch: 2 })
      expect(await under.read([GET])).toEqual(['x'])
    }))

  test('P4: a write routed before the shard came back → moved, for it might overtake others', () =>
    withHost(async (under) => {
      await under.host.replicas.release(0, 1)
      under.topologyVersion = 3
      await under.open(2)
      under.topologyVersion = 2
      expect(await under.write([setCall('a', 'x')])).toEqual(['MOVED not-applied'])
      expect(await under.read([GET])).toEqual([null])
      under.topologyVersion = 3
      expect(await under.write([setCall('a', 'x')])).toEqual([3])
    }))

  test('P5: a release of another hosting → the shard stays', () =>
    withHost(async (under) => {
      await under.host.replicas.release(0, 7)
      expect(await under.read([GET])).toEqual([null])
    }))

  test('P8: a replica that is not there → failed and damaged, and the child lives', () =>
    withHost(async (under) => {
      await under.host.replicas.release(0, 1)
      await rm(join(under.directory, 'log'), { recursive: true })
      await under.open(2)
      expect(under.reports.at(-1)).toMatchObject({ type: 'failed', hosting: 2, damaged: true })
      expect(await under.read([GET])).toEqual(['MOVED not-applied'])
    }))

  test('a commit of the state fails → the process is to end (P8)', () =>
    withHost(async (under) => {
      const failure = new CommitFailed('the state could not be stored: I/O error')
      const write = vi.spyOn(State.prototype, 'write').mockRejectedValueOnce(failure)
      await under.write([setCall('a', 'x')])
      await until(() => under.ends.length > 0)
      expect(under.ends).toEqual([failure])
      write.mockRestore()
    }))

  test('measured → what it holds', () =>
    withHost(async (under) => {
      await under.write([setCall('a', 'x')])
      expect(under.host.measure()).toMatchObject({
        rssBytes: expect.any(Number) as number,
        shards: [{ shard: 0, epoch: 1, revision: 2, keys: 1, writes: 1 }],
      })
    }))

  test('P4: the shard moved away and back, then an old queue drains → not executed again', () =>
    inDirectory(async (root) => {
      const [home, other] = [new HostUnderTest(root), new HostUnderTest(root)]
      const calls = [setCall('a', 'one'), setCall('a', 'two')]
      const first = bodyOf({ kind: 'writes', firstSequence: 7, lowWater: 6 }, calls)
      const again = bodyOf({ kind: 'resends', sequences: [7, 8], lowWater: 6 }, calls)
      for (const host of [home, other]) host.connect()
      await home.open(1)
      await home.host.replicas.release(0, 1)
      other.topologyVersion = 2
      await other.open(2)
      const answers = await other.answersTo(other.send(again), 2)
      await other.host.replicas.release(0, 2)
      home.topologyVersion = 3
      await home.open(3)
      // What the client sent at first has waited for this child all the time.
      home.topologyVersion = 1
      expect(await home.answersTo(home.send(first), 2)).toEqual([
        'MOVED not-applied',
        'MOVED not-applied',
      ])
      home.topologyVersion = 3
      expect(await home.answersTo(home.send(again), 2)).toEqual(answers)
      await home.host.close()
      await other.host.close()
    }))

  test('P4: the same client on a new connection, its old batch still waiting → executed once', () =>
    withHost(async (under) => {
      const calls = [setCall('a', 'one'), setCall('a', 'two')]
      const old = bodyOf({ kind: 'writes', firstSequence: 7, lowWater: 6 }, calls)
      const again = bodyOf({ kind: 'resends', sequences: [7, 8], lowWater: 6 }, calls)
      under.send(old)
      under.clients.onFrame({ type: 'close', connection: 1 })
      under.clients.onFrame({ type: 'open', connection: 2, clientId: 11 })
      await under.answersTo(under.send(again, 2), 2)
      expect(under.host.measure().shards[0]).toMatchObject({ revision: 3 })
    }))

  test('P1: closed → what was taken is answered and there when it is opened again', () =>
    inDirectory(async (root) => {
      const before = new HostUnderTest(root)
      await before.open()
      before.connect()
      const taken = before.send(writesBody([setCall('a', 'x')]))
      await before.host.close()
      expect(await before.answersTo(taken, 1)).toEqual([2])
      const after = new HostUnderTest(root)
      await after.open(2)
      after.connect()
      expect(await after.read([GET])).toEqual(['x'])
      await after.host.close()
    }))
})
