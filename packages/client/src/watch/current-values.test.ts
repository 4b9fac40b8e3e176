/**
 * A watch that is told current values when its child ends, from the child's point of view (P6).
 */
import type { WatchStart, WireEvent, WireWatch } from '@kv/protocol'
import { keyAfter, readWatches, WireReader, WireWriter, writeEvent } from '@kv/protocol'
import { expect, test } from 'vitest'
import type { FakeNode } from '../testing/fake-node.js'
import { connectedHarness, settle } from '../testing/harness.js'

const CHILD = 1
const EPOCH = 1
/** MessagePack of the number 1. */
const VALUE = Uint8Array.of(1)

type Told =
  | { readonly type: 'current'; readonly key: string; readonly revision: number }
  | {
      readonly type: 'set'
      readonly key: string
      readonly revision: number
      readonly index: number
    }
  | { readonly type: 'attached'; readonly revision: number }

/** All watches that the node was asked for. */
function asked(node: FakeNode): WireWatch[] {
  return node.watching.flatMap((message) =>
    message.type === 'watch' ? readWatches(new WireReader(message.body)) : [],
  )
}

function tell(node: FakeNode, id: number, events: readonly Told[]): void {
  const writer = new WireWriter()
  writer.array(events.length)
  for (const event of events) {
    const common = { shard: 0, epoch: EPOCH, ids: [id], expiresAt: 0, value: VALUE }
    writeEvent(writer, { version: 1, ...common, ...event } as WireEvent)
  }
  node.link.send({ type: 'event', child: CHILD, body: writer.written() })
}

const KEYS_OF_PAGE: readonly Told[] = ['b', 'd'].map((key) => ({
  type: 'current',
  key,
  revision: 10,
}))

type Case = readonly [string, readonly Told[], Omit<WatchStart, 'shard' | 'epoch'>]

const CASES: readonly Case[] = [
  ['in the middle of a page', [], { revision: 10, seen: 0, frontier: keyAfter('d') }],
  [
    'after a change of a key further back',
    [{ type: 'set', key: 'a', revision: 11, index: 2 }],
    { revision: 11, seen: 3, frontier: keyAfter('d') },
  ],
  [
    'after a change of a new key behind the last value',
    [{ type: 'set', key: 'e', revision: 11, index: 0 }],
    { revision: 11, seen: 1, frontier: keyAfter('e') },
  ],
  [
    'when all values were told',
    [{ type: 'attached', revision: 12 }],
    { revision: 12, seen: 0, frontier: undefined },
  ],
]

test.each(CASES)(
  'current values: the child ends %s → on from there (P6)',
  async (_, more, start) => {
    const { kv, node } = await connectedHarness({ shards: 1 })
    const stopping = new AbortController()
    const { signal } = stopping
    const seen: string[] = []
    const reading = (async () => {
      for await (const event of kv.watch({ prefix: '' }, { initial: true, signal })) {
        if ('key' in event) seen.push(event.key)
      }
    })()
    await settle()
    const [first] = asked(node)
    expect(first?.starts).toEqual([{ shard: 0, epoch: 0, revision: 0, seen: 0, frontier: '' }])
    const events = [...KEYS_OF_PAGE, ...more]
    tell(node, first!.id, events)
    node.link.send({ type: 'unwatched', child: CHILD, id: first!.id })
    node.move({ 0: CHILD })
    await settle()
    expect(asked(node).slice(1)).toMatchObject([{ starts: [{ shard: 0, epoch: EPOCH, ...start }] }])
    expect(seen).toEqual(events.flatMap((event) => ('key' in event ? [event.key] : [])))
    stopping.abort(new Error('enough was seen'))
    await expect(reading).rejects.toThrow('enough was seen')
  },
)
