import { MESSAGE_BYTES_MAX } from '@kv/protocol'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { LinkFrame } from './data-link.js'
import { DataLink, LINK_BACKLOG_BYTES_MAX } from './data-link.js'
import { MemorySocket } from './testing/memory-socket.js'

interface Received {
  readonly frames: unknown[]
  readonly ends: (string | undefined)[]
  chunkEnds: number
}

function receiver(): { socket: MemorySocket; received: Received; ended: Promise<void> } {
  const socket = new MemorySocket()
  const received: Received = { frames: [], ends: [], chunkEnds: 0 }
  const ended = new Promise<void>((resolve) => {
    const link = new DataLink(socket, {
      onFrame: (frame) => received.frames.push(copied(frame)),
      onChunkEnd: () => (received.chunkEnds += 1),
      onEnd: (error) => {
        received.ends.push(error?.message)
        if (error === undefined) resolve()
      },
    })
    expect(link.bufferedBytes).toBe(0)
  })
  return { socket, received, ended }
}

/** Views are valid while the frame is handled only. */
function copied(frame: LinkFrame): unknown {
  if (frame.type === 'batch') return { ...frame, body: Buffer.from(frame.body).toString('hex') }
  if (frame.type === 'reply')
    return { ...frame, message: Buffer.from(frame.message).toString('hex') }
  return frame
}

/** What the link writes for these frames. */
async function encoded(write: (link: DataLink) => void): Promise<Buffer> {
  const socket = new MemorySocket()
  write(new DataLink(socket, { onFrame: () => undefined, onEnd: () => undefined }))
  await new Promise((resolve) => void setImmediate(resolve))
  return socket.bytes()
}

const EVERY_FRAME = (link: DataLink): void => {
  link.open(1, 2 ** 45)
  link.batch(1, {
    id: 2 ** 40,
    topologyVersion: 7,
    remainingMs: 10_000,
    body: Buffer.from('body'),
  })
  link.batch(2, { id: 1, topologyVersion: 0, remainingMs: 2 ** 40, body: new Uint8Array(0) })
  link.window(1, 0xffff_ffff)
  link.reply(1, 2 ** 40, true, Buffer.from('message'))
  link.reply(0xffff_ffff, 3, false, new Uint8Array(0))
  link.close(1)
}

const ALL_FRAMES = [
  { type: 'open', connection: 1, clientId: 2 ** 45 },
  {
    type: 'batch',
    connection: 1,
    batchId: 2 ** 40,
    topologyVersion: 7,
    remainingMs: 10_000,
    body: '626f6479',
  },
  {
    type: 'batch',
    connection: 2,
    batchId: 1,
    topologyVersion: 0,
    remainingMs: 0xffff_ffff,
    body: '',
  },
  { type: 'window', connection: 1, bytes: 0xffff_ffff },
  { type: 'reply', connection: 1, batchId: 2 ** 40, final: true, message: '6d657373616765' },
  { type: 'reply', connection: 0xffff_ffff, batchId: 3, final: false, message: '' },
  { type: 'close', connection: 1 },
]

describe('data link: what is written is received', () => {
  test('split into two at every byte → the same frames, once, in order', async () => {
    const bytes = await encoded(EVERY_FRAME)
    for (let at = 0; at <= bytes.length; at += 1) {
      const { socket, received } = receiver()
      socket.emit('data', bytes.subarray(0, at))
      socket.emit('data', bytes.subarray(at))
      expect(received.frames).toEqual(ALL_FRAMES)
      expect(received.chunkEnds).toBeGreaterThan(0)
    }
  })

  test('byte by byte → the same frames', async () => {
    const { socket, received } = receiver()
    for (const byte of await encoded(EVERY_FRAME)) socket.emit('data', Buffer.of(byte))
    expect(received.frames).toEqual(ALL_FRAMES)
  })

  test('any frames in any chunks → the same frames', async () => {
    const bodies = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 })
    const property = fc.asyncProperty(bodies, fc.array(fc.nat(500)), async (all, sizes) => {
      const bytes = await encoded((link) => {
        for (const [index, body] of all.entries()) link.reply(index, index, false, body)
      })
      const { socket, received } = receiver()
      let start = 0
      for (const size of [...sizes, bytes.length]) {
        if (start >= bytes.length) break
        socket.emit('data', bytes.subarray(start, start + size))
        start += size
      }
      expect(received.frames).toMatchObject(
        all.map((body) => ({ message: Buffer.from(body).toString('hex') })),
      )
    })
    await fc.assert(property)
  })

  test('several frames in one chunk → one end of chunk, after the last of them', async () => {
    const { socket, received } = receiver()
    socket.emit('data', await encoded(EVERY_FRAME))
    expect(received.chunkEnds).toBe(1)
  })

  test('frames of one turn → one call to the system', async () => {
    const socket = new MemorySocket()
    const link = new DataLink(socket, { onFrame: () => undefined, onEnd: () => undefined })
    EVERY_FRAME(link)
    await new Promise((resolve) => void setImmediate(resolve))
    EVERY_FRAME(link)
    await new Promise((resolve) => void setImmediate(resolve))
    expect(socket.writes).toHaveLength(2)
  })

  test('a message of the largest size → received whole', async () => {
    const message = Buffer.alloc(4 * MESSAGE_BYTES_MAX, 7)
    const bytes = await encoded((link) => link.reply(1, 1, true, message))
    const { socket, received } = receiver()
    for (let at = 0; at < bytes.length; at += 65_536) {
      socket.emit('data', bytes.subarray(at, at + 65_536))
    }
    expect(received.frames).toEqual([
      { type: 'reply', connection: 1, batchId: 1, final: true, message: message.toString('hex') },
    ])
  })
})

describe('data link: what is no frame', () => {
  function frame(length: number, type: number, rest = 5): Buffer {
    const bytes = Buffer.alloc(4 + rest)
    bytes.writeUInt32LE(length, 0)
    bytes.writeUInt8(type, 4)
    return bytes
  }

  test.each([
    ['longer than any frame may be', frame(4 * MESSAGE_BYTES_MAX + 65_537, 3)],
    ['shorter than its header', frame(4, 2)],
    ['of an unknown type', frame(5, 250)],
    ['a batch without its fields', frame(24, 3, 24)],
    ['a reply without its fields', frame(13, 4, 13)],
    ['an open without its client', frame(12, 1, 12)],
    ['a window without its bytes', frame(8, 5, 8)],
  ])('P7: %s → refused before memory is spent on it; the link ends', async (_name, bytes) => {
    const { socket, received, ended } = receiver()
    socket.emit('data', bytes)
    await ended
    expect(received.frames).toEqual([])
    expect(received.ends).toEqual([expect.stringMatching(/^data link: /), undefined])
  })

  test('frames before it → were handled', async () => {
    const { socket, received, ended } = receiver()
    socket.emit('data', Buffer.concat([await encoded((link) => link.close(3)), frame(5, 250)]))
    await ended
    expect(received.frames).toEqual([{ type: 'close', connection: 3 }])
  })

  test('the handler throws → the link ends with its error', async () => {
    const socket = new MemorySocket()
    const error = await new Promise((resolve) => {
      const link = new DataLink(socket, {
        onFrame: () => {
          throw new Error('from the handler')
        },
        onEnd: resolve,
      })
      link.close(1)
      void encoded((other) => other.close(1)).then((bytes) => socket.emit('data', bytes))
    })
    expect(error).toMatchObject({ message: 'from the handler' })
  })

  test('the system has taken all that was much → its writer hears of it', async () => {
    const socket = new MemorySocket()
    let isDrained = false
    const drained = new Promise<void>((resolve) => {
      const link = new DataLink(socket, {
        onFrame: () => undefined,
        onDrain: () => {
          isDrained = true
          resolve()
        },
        onEnd: () => undefined,
      })
      link.reply(1, 1, true, new Uint8Array(LINK_BACKLOG_BYTES_MAX))
      expect(link.bufferedBytes).toBeGreaterThan(LINK_BACKLOG_BYTES_MAX)
    })
    expect(isDrained).toBe(false)
    await drained
    expect(socket.writableLength).toBe(0)
  })

  test('the socket is gone → writing does nothing', async () => {
    const { socket, ended } = receiver()
    const link = new DataLink(socket, { onFrame: () => undefined, onEnd: () => undefined })
    socket.destroy()
    await ended
    link.close(1)
    link.end()
    expect(socket.writes).toEqual([])
  })
})
