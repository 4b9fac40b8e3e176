import type { NodeMessage, WatchSelection, WatchStart, WireEvent } from '@kv/protocol'
import {
  changeBytes,
  readEvents,
  WireReader,
  WireWriter,
  writeCredits,
  writeWatch,
} from '@kv/protocol'
import { expect, test } from 'vitest'
import { Draft } from './draft.js'
import { MemoryShard } from './memory-shard.js'
import { MemoryWatches } from './memory-watches.js'

const FROM_NOW = { shard: 0, epoch: 0, revision: 0, seen: 0, frontier: undefined }

/** What a change of a key and a value of one byte each takes from the credit. */
const CHANGE_BYTES = changeBytes('k', 1)

/** Watches of one shard, and what was told. */
function scene() {
  const shard = new MemoryShard()
  const told: NodeMessage[] = []
  const watches = new MemoryWatches({
    child: 1,
    shards: [shard],
    now: () => 0,
    send: (message) => {
      told.push(message)
    },
  })
  shard.onRevision = () => {
    watches.onRevision(0)
  }
  return {
    shard,
    watch: (what: WatchSelection, start: Partial<WatchStart> = {}, credit = 1_000_000) => {
      const body = new WireWriter()
      body.array(1)
      writeWatch(body, { id: 1, credit, what, starts: [{ ...FROM_NOW, ...start }] })
      watches.watch(body.written())
    },
    grant: (bytes: number) => {
      const body = new WireWriter()
      writeCredits(body, [{ id: 1, bytes }])
      watches.credit(body.written())
    },
    put: (...keys: string[]) => {
      const draft = new Draft(shard, 0)
      for (const key of keys) draft.put(key, Uint8Array.of(1), 0)
      shard.commit(draft)
    },
    /** What was told since the last time, in short. */
    events: async () => {
      await Promise.resolve()
      const events: string[] = []
      for (const message of told.splice(0)) {
        if (message.type !== 'event') throw new Error(message.type)
        readEvents(new WireReader(message.body), (event) => events.push(inShort(event)))
      }
      return events
    },
  }
}

function inShort(event: WireEvent): string {
  if ('key' in event) return `${event.type} ${event.key}`
  return 'revision' in event ? `${event.type} ${event.revision}` : event.type
}

test('watch in memory: from now on → attached, then each change once (P6)', async () => {
  const { shard, watch, put, events } = scene()
  put('a:1')
  watch({ prefix: 'a:' })
  put('a:2', 'b:1', 'a:3')
  expect(await events()).toEqual(['attached 2', 'set a:2', 'set a:3', 'progress 3'])
  put('b:2')
  expect(await events()).toEqual(['progress 4'])
  const draft = new Draft(shard, 0)
  draft.delete('a:2')
  shard.commit(draft)
  expect(await events()).toEqual(['delete a:2', 'progress 5'])
})

test('watch in memory: with a frontier → current values in order, then attached', async () => {
  const { watch, put, events } = scene()
  put('b', 'a', 'c')
  watch({ keys: ['c', 'a', 'x'] }, { frontier: '' })
  expect(await events()).toEqual(['current a', 'current c', 'attached 2'])
})

test('watch in memory: no credit → waits where it is, and goes on when there is (P7)', async () => {
  const { watch, put, grant, events } = scene()
  put('a', 'b', 'c')
  watch({ prefix: '' }, { frontier: '' }, 1)
  expect(await events()).toEqual(['current a'])
  put('a', 'c')
  expect(await events()).toEqual([])
  grant(65 + 3 * CHANGE_BYTES)
  expect(await events()).toEqual(['set a', 'current b', 'current c', 'attached 3'])
  put('a', 'b')
  put('c')
  expect(await events()).toEqual(['detached'])
  grant(2 * CHANGE_BYTES)
  expect(await events()).toEqual(['set a', 'set b'])
  grant(CHANGE_BYTES)
  expect(await events()).toEqual(['set c', 'attached 5'])
})

test('watch in memory: a position → what came after it, within a revision too', async () => {
  const { watch, put, events } = scene()
  put('a', 'b', 'c')
  put('d')
  watch({ prefix: '' }, { epoch: 1, revision: 2, seen: 2 })
  expect(await events()).toEqual(['set c', 'set d', 'attached 3'])
})

test.each<[string, Partial<WatchStart>, string]>([
  ['of no history', { epoch: 1, revision: 99_999 }, 'reset'],
  ['of another epoch', { epoch: 2, revision: 5_000 }, 'reset'],
  ['that is forgotten', { epoch: 1, revision: 2 }, 'reset'],
  ['that is known', { epoch: 1, revision: 5_000 }, 'set 4999'],
])('watch in memory: a position %s → %s', async (_, start, first) => {
  const { watch, put, events } = scene()
  for (let index = 0; index <= 5_000; index += 1) put(String(index))
  watch({ prefix: '' }, start)
  expect((await events())[0]).toBe(first)
})
