/**
 * WebSocket frames by hand (RFC 6455, section 5.2), right ones and wrong ones.
 */
import type { SeededRandom } from '../load/seeded-random.js'

const FIN_BINARY = 0x82
const MASKED = 0x80

/** One binary message. The mask is zeros, so that the payload stays as it is. */
export function frame(payload: Uint8Array, first: number = FIN_BINARY): Buffer {
  const { length } = payload
  const header =
    length < 126
      ? [first, MASKED | length]
      : length < 65_536
        ? [first, MASKED | 126, length >> 8, length & 0xff]
        : [first, MASKED | 127, 0, 0, 0, 0, length >>> 24, length >>> 16, length >>> 8, length]
  return Buffer.concat([Buffer.from([...header, 0, 0, 0, 0].map((byte) => byte & 0xff)), payload])
}

/** What no WebSocket may send. */
export function brokenFrame(payload: Uint8Array, random: SeededRandom): Buffer {
  const whole = frame(payload)
  switch (random.below(6)) {
    case 0: // reserved bits
      return frame(payload, FIN_BINARY | (0x10 << random.below(3)))
    case 1: // opcodes that mean nothing
      return frame(payload, 0x80 | random.pick([3, 4, 5, 6, 7, 11, 12, 13, 14, 15]))
    case 2: // text, which no message is
      return frame(payload, 0x81)
    case 3: // no mask
      return Buffer.concat([Buffer.from([FIN_BINARY, Math.min(125, payload.length)]), payload])
    case 4: // a length beyond every limit
      return Buffer.from([FIN_BINARY, MASKED | 127, 0xff, 0xff, ...random.bytes(10)])
    default: // a control frame that is too long
      return Buffer.concat([Buffer.from([0x89, MASKED | 126, 0, 200, 0, 0, 0, 0]), whole])
  }
}

export interface ServerFrame {
  readonly opcode: number
  readonly payload: Buffer
}

/** Cuts what a server sends, unmasked, into frames. */
export class FrameReader {
  private rest: Buffer = Buffer.alloc(0)

  take(chunk: Buffer): ServerFrame[] {
    this.rest = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk])
    const frames: ServerFrame[] = []
    for (let next = this.next(); next !== undefined; next = this.next()) frames.push(next)
    return frames
  }

  private next(): ServerFrame | undefined {
    const { rest } = this
    if (rest.length < 2) return undefined
    const short = rest.readUInt8(1) & 0x7f
    const start = short < 126 ? 2 : short === 126 ? 4 : 10
    if (rest.length < start) return undefined
    const length =
      short < 126 ? short : short === 126 ? rest.readUInt16BE(2) : Number(rest.readBigUInt64BE(2))
    if (rest.length < start + length) return undefined
    this.rest = rest.subarray(start + length)
    return { opcode: rest.readUInt8(0) & 0x0f, payload: rest.subarray(start, start + length) }
  }
}
