import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { LogFrame } from '../shard/log/frame.js'
import { encodeFrame, FRAME_HEADER_BYTES } from '../shard/log/frame.js'
import { FRAME_BYTES_MAX } from '../shard/log/options.js'
import type { ToFollower, ToPrimary } from '../shard/replication/messages.js'
import type { Channel, ChannelTarget } from './replication-link.js'
import { AcceptedLink, BUFFERED_BYTES_MAX, DialledLink } from './replication-link.js'
import { MemorySocket, turn } from './testing/memory-socket.js'

/** A dialling and an accepting end; what one writes reaches the other when the test says so. */
class Pair {
  readonly dialled = new MemorySocket()
  readonly accepted = new MemorySocket()
  readonly toFollower: ToFollower[] = []
  readonly toPrimary: ToPrimary[] = []
  readonly opened: { readonly target: ChannelTarget; readonly channel: Channel<ToFollower> }[] = []
  /** Who was told what about the end of a channel or a socket. */
  readonly ends: string[] = []
  readonly dialling: DialledLink
  readonly accepting: AcceptedLink

  constructor() {
    this.dialling = new DialledLink(this.dialled, (error) => {
      this.ends.push(`dialled: ${error?.message ?? 'closed'}`)
    })
    this.accepting = new AcceptedLink(this.accepted, {
      onOpen: (target, channel) => {
        this.opened.push({ target, channel })
        return {
          onMessage: (message) => void this.toPrimary.push(message),
          onEnd: (reason) => void this.ends.push(`primary: ${reason}`),
        }
      },
      onEnd: (error) => void this.ends.push(`accepted: ${error?.message ?? 'closed'}`),
    })
  }

  open(target: ChannelTarget = { shard: 3, copy: 1 }): Channel<ToPrimary> {
    return this.dialling.open(target, {
      onMessage: (message) => void this.toFollower.push(message),
      onEnd: (reason) => void this.ends.push(`follower: ${reason}`),
    })
  }

  /** Delivers what both have written, in chunks of these sizes. */
  async deliver(sizes: readonly number[] = []): Promise<void> {
    await turn()
    for (const [from, to] of [
      [this.dialled, this.accepted],
      [this.accepted, this.dialled],
    ] as const) {
      to.receive(from.bytes(), sizes)
      from.writes.length = 0
    }
    await turn()
  }
}

const number = fc.oneof(fc.nat(1_000), fc.maxSafeNat())
const checksum = fc.nat({ max: 0xffff_ffff })
const position = fc.record({ epoch: number, revision: number, checksum })
const epochs = fc
  .uniqueArray(fc.nat(10_000), { maxLength: 20 })
  .map((all) =>
    all.toSorted((a, b) => a - b).map((epoch) => ({ epoch, firstRevision: 10 * epoch })),
  )

const frame: fc.Arbitrary<LogFrame> = fc
  .record({
    epoch: fc.integer({ min: 1, max: 2 ** 40 }),
    firstRevision: fc.integer({ min: 1, max: 2 ** 50 }),
    count: fc.integer({ min: 1, max: 0xffff }),
    timeMs: fc.nat(2 ** 45),
    jump: fc.boolean(),
    previousChecksum: checksum,
    body: fc.uint8Array({ maxLength: 500 }),
  })
  .map(({ body, ...header }) => frameOf(header, Buffer.from(body)))

function frameOf(header: Omit<LogFrame, 'body' | 'checksum'>, body: Buffer): LogFrame {
  const buffer = Buffer.concat([Buffer.alloc(FRAME_HEADER_BYTES), body])
  return { ...header, body, checksum: encodeFrame(buffer, body.length, header, 0) }
}

const SMALL_FRAME = frameOf(
  { epoch: 2, firstRevision: 7, count: 1, timeMs: 1, jump: false, previousChecksum: 5 },
  Buffer.from('body'),
)

const toFollower: fc.Arbitrary<ToFollower> = fc.oneof(
  fc.record({ type: fc.constant('greet' as const), epoch: number }),
  fc.record({ type: fc.constant('cut' as const), epoch: number, after: position }),
  fc.record({ type: fc.constant('frame' as const), epoch: number, frame, commitRevision: number }),
  fc.record({ type: fc.constant('commit' as const), epoch: number, revision: number }),
  fc.record({
    type: fc.constant('snapshotBegin' as const),
    epoch: number,
    begin: fc.record({ start: position, epochs, sessionFloor: number }),
  }),
  fc.record({
    type: fc.constant('snapshotPage' as const),
    epoch: number,
    page: fc.uint8Array({ maxLength: 500 }).map((bytes) => Buffer.from(bytes)),
  }),
  fc.record({
    type: fc.constant('snapshotEnd' as const),
    epoch: number,
    end: fc.record({
      revision: number,
      timeMs: number,
      sessions: number,
      entries: number,
      checksum,
    }),
  }),
)

const toPrimary: fc.Arbitrary<ToPrimary> = fc.oneof(
  fc.record({
    type: fc.constant('state' as const),
    epoch: number,
    hosting: number,
    last: position,
    epochs,
  }),
  fc.record({ type: fc.constant('joined' as const), epoch: number, last: position }),
  fc.record({ type: fc.constant('unfit' as const), epoch: number, reason: fc.string() }),
  fc.record({ type: fc.constant('durable' as const), epoch: number, revision: number }),
  fc.record({ type: fc.constant('snapshotTaken' as const), epoch: number, pages: number }),
)

const chunkSizes = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 5 })

describe('replication link: what is said is heard', () => {
  test('any messages in any chunks → the same, in order, both ways', async () => {
    const property = fc.asyncProperty(
      fc.array(toFollower, { maxLength: 12 }),
      fc.array(toPrimary, { maxLength: 12 }),
      chunkSizes,
      async (down, up, sizes) => {
        const pair = new Pair()
        const follower = pair.open()
        await pair.deliver(sizes)
        for (const message of down) pair.opened[0]?.channel.send(message)
        for (const message of up) follower.send(message)
        await pair.deliver(sizes)
        expect(pair.toFollower).toEqual(down)
        expect(pair.toPrimary).toEqual(up)
        expect(pair.ends).toEqual([])
      },
    )
    await fc.assert(property, { numRuns: 60 })
  })

  test('a frame arrives in memory of its own, with room for a header in front', async () => {
    const pair = new Pair()
    pair.open()
    await pair.deliver()
    for (const revision of [7, 8]) {
      const frame = frameOf({ ...SMALL_FRAME, firstRevision: revision }, Buffer.from('body'))
      pair.opened[0]?.channel.send({ type: 'frame', epoch: 2, frame, commitRevision: 6 })
    }
    await pair.deliver()
    const [first, second] = pair.toFollower.map((message) => {
      if (message.type !== 'frame') throw new Error('no frame')
      return message.frame.body
    }) as [Buffer, Buffer]
    const inFront = Buffer.from(second.buffer, second.byteOffset - FRAME_HEADER_BYTES, 48)
    inFront.fill(0)
    expect([first.toString(), second.toString()]).toEqual(['body', 'body'])
  })

  test('sending a frame → its buffer stays as it was: the journal may still read it', async () => {
    const pair = new Pair()
    pair.open()
    await pair.deliver()
    const buffer = Buffer.concat([Buffer.alloc(FRAME_HEADER_BYTES, 0xee), SMALL_FRAME.body])
    const frame = { ...SMALL_FRAME, body: buffer.subarray(FRAME_HEADER_BYTES) }
    pair.opened[0]?.channel.send({ type: 'frame', epoch: 2, frame, commitRevision: 6 })
    await pair.deliver()
    expect(pair.toFollower).toHaveLength(1)
    expect(buffer.subarray(0, FRAME_HEADER_BYTES)).toEqual(Buffer.alloc(48, 0xee))
  })

  test('the longest frame of a log → received', async () => {
    const pair = new Pair()
    pair.open()
    await pair.deliver()
    const frame = frameOf(SMALL_FRAME, Buffer.alloc(FRAME_BYTES_MAX - FRAME_HEADER_BYTES, 3))
    pair.opened[0]?.channel.send({ type: 'frame', epoch: 2, frame, commitRevision: 6 })
    await pair.deliver([65_536])
    expect(pair.toFollower).toMatchObject([{ type: 'frame', frame: { checksum: frame.checksum } }])
  })

  test('all that is written in one turn → one call to the system', async () => {
    const pair = new Pair()
    const channels = [pair.open(), pair.open({ shard: 4, copy: 0 })]
    for (const channel of channels) channel.send({ type: 'durable', epoch: 1, revision: 1 })
    await turn()
    expect(pair.dialled.writes).toHaveLength(1)
  })
})

describe('replication link: channels', () => {
  test('opened → the other side learns of which shard and copy', async () => {
    const pair = new Pair()
    pair.open({ shard: 3, copy: 1 })
    pair.open({ shard: 0, copy: 2 })
    await pair.deliver([1])
    expect(pair.opened.map(({ target }) => target)).toEqual([
      { shard: 3, copy: 1 },
      { shard: 0, copy: 2 },
    ])
  })

  test('ended by one side → the other is told why; the other channel goes on', async () => {
    const pair = new Pair()
    const follower = pair.open()
    pair.open({ shard: 4, copy: 1 })
    await pair.deliver()
    pair.opened[0]?.channel.end('no primary here')
    pair.opened[1]?.channel.send({ type: 'greet', epoch: 4 })
    follower.send({ type: 'durable', epoch: 1, revision: 1 })
    await pair.deliver()
    expect(pair.ends).toEqual(['follower: no primary here'])
    expect(pair.toFollower).toEqual([{ type: 'greet', epoch: 4 }])
    // What was on its way to a channel that had ended is dropped.
    expect(pair.toPrimary).toEqual([])
    follower.send({ type: 'durable', epoch: 1, revision: 2 })
    await pair.deliver()
    expect(pair.toPrimary).toEqual([])
  })

  test('the socket is gone → every channel ends, then the link, once', async () => {
    const pair = new Pair()
    pair.open()
    await pair.deliver()
    pair.dialled.destroy(new Error('reset'))
    pair.accepted.destroy()
    await turn()
    expect(pair.ends.toSorted()).toEqual([
      'accepted: closed',
      'dialled: reset',
      'follower: the connection is gone: reset',
      'primary: the connection is gone',
    ])
    pair.open()
    await turn()
    expect(pair.ends.at(-1)).toBe('follower: the connection is gone')
  })

  test('P7: the other side takes nothing → the link ends, what was missed is in the log', async () => {
    const pair = new Pair()
    pair.open()
    await pair.deliver()
    // A system that takes nothing any more.
    pair.accepted._writev = () => undefined
    const frame = frameOf(SMALL_FRAME, Buffer.alloc(FRAME_BYTES_MAX - FRAME_HEADER_BYTES))
    for (let bytes = 0; bytes <= BUFFERED_BYTES_MAX; bytes += FRAME_BYTES_MAX) {
      pair.opened[0]?.channel.send({ type: 'frame', epoch: 2, frame, commitRevision: 6 })
    }
    await turn()
    expect(pair.ends.at(-1)).toMatch(/^accepted: replication link: \d+ bytes are not taken/)
  })
})

describe('replication link: what is no message', () => {
  const HEADER = { OPEN: 1, END: 2, CUT: 17, FRAME: 18, COMMIT: 19, STATE: 32, DURABLE: 35 }

  function frameBytes(type: number, lane: number, content: object, length?: number): Buffer {
    const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content))
    const header = Buffer.alloc(9)
    header.writeUInt32LE(length ?? 5 + bytes.length, 0)
    header.writeUInt8(type, 4)
    header.writeUInt32LE(lane, 5)
    return Buffer.concat([header, bytes])
  }

  const open = frameBytes(HEADER.OPEN, 1, { shard: 0, copy: 1 })
  const outOfOrder = [
    { epoch: 2, firstRevision: 9 },
    { epoch: 1, firstRevision: 1 },
  ]
  const last = { epoch: 1, revision: 1, checksum: 1 }

  test.each([
    ['longer than any', frameBytes(HEADER.STATE, 1, Buffer.alloc(0), 0x7fff_ffff)],
    ['shorter than its header', frameBytes(HEADER.STATE, 1, Buffer.alloc(0), 4)],
    ['of an unknown type', frameBytes(250, 1, Buffer.alloc(0))],
    ['of the other direction', frameBytes(HEADER.COMMIT, 1, Buffer.alloc(16))],
    ['on a channel that was never opened', frameBytes(HEADER.DURABLE, 2, Buffer.alloc(16))],
    ['of a wrong length', frameBytes(HEADER.DURABLE, 1, Buffer.alloc(15))],
    ['a number below zero', frameBytes(HEADER.DURABLE, 1, doubles(1, -1))],
    ['a number that is none', frameBytes(HEADER.DURABLE, 1, doubles(Number.NaN, 1))],
    ['no JSON', frameBytes(HEADER.STATE, 1, Buffer.from('{'))],
    ['JSON of something else', frameBytes(HEADER.STATE, 1, { epoch: 1 })],
    ['epochs out of order', frameBytes(HEADER.STATE, 1, { epoch: 1, last, epochs: outOfOrder })],
    ['epochs of nothing', frameBytes(HEADER.STATE, 1, { epoch: 1, last, epochs: [null] })],
    ['JSON without an end', frameBytes(HEADER.STATE, 1, Buffer.alloc(70_000, 0x20))],
    ['a channel opened twice', open],
    ['a channel of no shard', frameBytes(HEADER.OPEN, 2, { shard: -1, copy: 0 })],
    ['an end without a reason', frameBytes(HEADER.END, 1, {})],
  ])('P7: %s → the link ends with an error, its channels too', async (_name, bytes) => {
    const pair = new Pair()
    pair.accepted.receive(Buffer.concat([open, bytes]), [])
    await turn()
    expect(pair.opened).toHaveLength(1)
    expect(pair.toPrimary).toEqual([])
    expect(pair.ends).toHaveLength(2)
    expect(pair.ends[0]).toMatch(/^primary: the connection is gone: ./)
    expect(pair.ends[1]).toMatch(/^accepted: (?!closed)./)
  })

  test('P8: a frame with one bit turned, anywhere → never handed on', async () => {
    const pair = new Pair()
    pair.open()
    await pair.deliver()
    pair.opened[0]?.channel.send({ type: 'frame', epoch: 2, frame: SMALL_FRAME, commitRevision: 6 })
    await turn()
    const sound = pair.accepted.bytes()
    const frameAt = sound.length - SMALL_FRAME.body.length - FRAME_HEADER_BYTES
    for (let bit = 8 * frameAt; bit < 8 * sound.length; bit += 1) {
      const turned = Buffer.from(sound)
      turned[bit >> 3]! ^= 1 << (bit & 7)
      const other = new Pair()
      other.open()
      other.dialled.receive(turned, [])
      await turn()
      expect(other.toFollower).toEqual([])
      expect(other.ends.at(-1)).toBe('dialled: a frame that is not sound')
    }
  })

  test('P7: random bytes → the link ends, or waits for no more than a frame', async () => {
    const property = fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (noise) => {
      const pair = new Pair()
      pair.accepted.receive(Buffer.from(noise), [7])
      await turn()
      expect(pair.toPrimary).toEqual([])
    })
    await fc.assert(property)
  })

  function doubles(...values: readonly number[]): Buffer {
    const bytes = Buffer.alloc(8 * values.length)
    for (const [index, value] of values.entries()) bytes.writeDoubleLE(value, 8 * index)
    return bytes
  }
})
