import { WireWriter, writeFullReplyHead, writePartReplyHead } from '@kv/protocol'
import { expect, test } from 'vitest'
import { connectedHarness, outcomeOf, settle } from '../testing/harness.js'

type Write = (writer: WireWriter) => void

/** A reply to one read and then the state of it and of the client. */
async function replyWith(write: Write, final: boolean = true) {
  const { kv, node, clock } = await connectedHarness()
  const errors: string[] = []
  kv.on('error', ({ code }) => errors.push(code))
  node.isHolding = true
  const read = kv.get('a')
  await settle()
  node.dropHeld()
  node.isHolding = false
  const { link } = node
  const body = new WireWriter()
  write(body)
  link.send({ type: 'reply', batchId: 1, final, body: body.written() })
  const outcome = await outcomeOf(read)
  clock.advance(100)
  await settle()
  return { outcome, errors, closeCode: link.closeCode, status: kv.status }
}

const BROKEN = {
  outcome: { code: 'PROTOCOL', outcome: 'not-applied' },
  errors: ['PROTOCOL'],
  closeCode: 1002,
  status: 'ready',
}

test.each<[string, Write]>([
  ['of another shape', (writer) => writer.integer(5)],
  ['with too many answers', (writer) => (writeFullReplyHead(writer, 2), writer.nil())],
  [
    'with an answer of another call',
    (writer) => (writeFullReplyHead(writer, 1), writer.integer(1)),
  ],
  ['to a position beyond', (writer) => (writePartReplyHead(writer, [1]), writer.nil())],
  ['that leaves calls unanswered', (writer) => writePartReplyHead(writer, [])],
  ['with bytes behind its end', (writer) => (writeFullReplyHead(writer, 1), writer.integer(0))],
])('reply %s → PROTOCOL, connection closed and made again', async (_, write) => {
  expect(await replyWith(write)).toMatchObject(BROKEN)
})

test('reply whose value is none of ours → INVALID_VALUE for that call only', async () => {
  const result = await replyWith((writer) => {
    writeFullReplyHead(writer, 1)
    writer.binary(Uint8Array.of(0xc1))
  })
  expect(result).toMatchObject({ outcome: { code: 'INVALID_VALUE' }, errors: [], status: 'ready' })
})

test('reply to a batch that was never sent → connection closed', async () => {
  const { node } = await connectedHarness()
  const { link } = node
  link.send({ type: 'reply', batchId: 9, final: true, body: new Uint8Array(0) })
  await settle()
  expect(link.closeCode).toBe(1002)
})

test('message that is none → connection closed', async () => {
  const { node } = await connectedHarness()
  const { link } = node
  link.sendBytes(Uint8Array.of(1, 2, 3))
  await settle()
  expect(link.closeCode).toBe(1002)
})

test.each([0, 3, 8])('topology of %i shards where 4 are due → connection closed', async (count) => {
  const { node } = await connectedHarness({ shards: 4 })
  const { link, topology } = node
  const primaries = Array.from({ length: count }, () => 1)
  const other = { ...topology, version: 9, shardCount: count, primaries, epochs: primaries }
  link.send({ type: 'topology', topology: other })
  await settle()
  expect(link.closeCode).toBe(1002)
})
