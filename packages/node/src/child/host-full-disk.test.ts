import type { Call } from '@kv/protocol'
import { describe, expect, test } from 'vitest'
import type { ShardReport } from '../link/control.js'
import { setCall } from '../shard/testing/calls.js'
import { inDirectory } from '../shard/testing/directory.js'
import { CAN_LIMIT_FILE_SIZE, withFileSizeLimit } from '../shard/testing/file-size-limit.js'
import { HostUnderTest } from './testing/host-under-test.js'

const VALUE = 'x'.repeat(1_000)
const BATCH_CALLS = 50
const OVERLAY_BYTES_MAX = 400_000
/** The log's third segment has this size; what it writes to it stays below the limit. */
const LIMIT_BYTES = 1_048_576 + 4_096

describe.skipIf(!CAN_LIMIT_FILE_SIZE)('host: the disk is full', () => {
  test('P1, P7: the state → no write is lost, reads go on, writes are refused until there is space', () =>
    inDirectory(async (root) => {
      const under = new HostUnderTest(root, { overlayBytesMax: OVERLAY_BYTES_MAX })
      await under.open()
      under.connect()
      const acknowledged: string[] = []
      const refusals: string[] = []
      const writeBatch = async (name: string): Promise<void> => {
        const keys = Array.from({ length: BATCH_CALLS }, (_, index) => `${name} ${index}`)
        const answers = await under.write(keys.map((key) => setCall(key, VALUE)))
        for (const [index, answer] of answers.entries()) {
          if (typeof answer === 'number') acknowledged.push(keys[index] as string)
          else refusals.push(answer as string)
        }
      }
      const measured = (): ShardReport => under.host.measure().shards[0] as ShardReport
      // Half of the third segment is used: the fourth is prepared before there is no space.
      for (let batch = 0; batch < 30; batch += 1) await writeBatch(`before ${batch}`)
      expect(refusals).toEqual([])
      await withFileSizeLimit(Math.max(LIMIT_BYTES, measured().stateBytes), async () => {
        for (let batch = 0; refusals.length === 0; batch += 1) await writeBatch(`full ${batch}`)
        expect(measured().writesBlocked).toMatch(/^the state could not be stored/)
        expect(measured().overlayBytes).toBeLessThan(2 * OVERLAY_BYTES_MAX)
        expect(await under.read([{ type: 'get', key: 'before 0 0' }])).toEqual([VALUE])
      })
      expect(new Set(refusals)).toEqual(new Set(['NO_SPACE not-applied']))
      const { length } = acknowledged
      while (acknowledged.length === length) await writeBatch('after')
      expect(under.ends).toEqual([])
      await under.host.close()

      const again = new HostUnderTest(root)
      await again.open(2)
      again.connect()
      const answers: unknown[] = []
      for (let at = 0; at < acknowledged.length; at += 100) {
        const calls = acknowledged.slice(at, at + 100).map((key): Call => ({ type: 'get', key }))
        answers.push(...(await again.read(calls)))
        const unread = again.sent.reduce((sum, { message }) => sum + message.length, 0)
        again.clients.onFrame({ type: 'window', connection: 1, bytes: unread })
      }
      expect(answers).toEqual(acknowledged.map(() => VALUE))
      await again.host.close()
    }))
})
