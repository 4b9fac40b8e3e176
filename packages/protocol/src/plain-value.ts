/**
 * Values of the most common shape (what JSON has, in ASCII) through msgpackr's tuned decoder.
 *
 * msgpackr reads more than we write: records that become code, a zoo of extensions, text that is
 * not UTF-8, keys that are not text. So a walk over the headers looks first, and says yes only to
 * what msgpackr and `ValueReader` read alike; everything else is left to `ValueReader`.
 */
import { Unpackr } from 'msgpackr/unpack'
import { VALUE_DEPTH_MAX } from './limits.js'

/** `int64AsType`: the walk lets through only integers that are exact as a number. */
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: 'number' })

/** Reads a value that `isPlainValue` is true for. */
export function readPlainValue(bytes: Uint8Array, start: number, end: number): unknown {
  // A view of its own: msgpackr leaves a property on the array it is given.
  return unpackr.unpack(bytes.subarray(start, end))
}

/** Whether the bytes are one whole plain value. False for everything special or malformed. */
export function isPlainValue(bytes: Uint8Array, start: number, end: number): boolean {
  return new HeaderWalk(bytes, start, end).isPlain()
}

class HeaderWalk {
  private readonly bytes: Uint8Array
  private readonly end: number
  private position: number
  private depth = 0

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.bytes = bytes
    this.position = start
    this.end = end
  }

  isPlain(): boolean {
    // Headers are read without asking whether they end in time: bytes beyond `end` may mislead the
    // walk, but then it has gone too far, and any further item or this last question says so.
    return this.item() && this.position === this.end
  }

  /** Passes over an item; false if it is not plain. */
  private item(): boolean {
    if (this.position >= this.end) return false
    const head = this.uint8()
    if (head < 0x80 || head >= 0xe0) return true
    if (head < 0x90) return this.pairs(head & 0x0f)
    if (head < 0xa0) return this.items(head & 0x0f)
    if (head < 0xc0) return this.ascii(head & 0x1f)
    switch (head) {
      case 0xc0: // nil
      case 0xc2: // false
      case 0xc3: // true
        return true
      case 0xcc: // integers of 8 bits
      case 0xd0:
        return this.skip(1)
      case 0xcd: // of 16 bits
      case 0xd1:
        return this.skip(2)
      case 0xce: // of 32 bits
      case 0xd2:
        return this.skip(4)
      case 0xcf: // of 64 bits, if below 2^53
        return this.uint16() < 0x20 && this.skip(6)
      case 0xcb: // float64
        return this.skip(8)
      case 0xd9: // text
        return this.ascii(this.uint8())
      case 0xda:
        return this.ascii(this.uint16())
      case 0xdc: // array
        return this.items(this.uint16())
      case 0xde: // map
        return this.pairs(this.uint16())
      default:
        return false
    }
  }

  private items(length: number): boolean {
    if (this.depth === VALUE_DEPTH_MAX) return false
    this.depth += 1
    for (let index = 0; index < length; index += 1) {
      if (!this.item()) return false
    }
    this.depth -= 1
    return true
  }

  private pairs(length: number): boolean {
    if (this.depth === VALUE_DEPTH_MAX) return false
    this.depth += 1
    for (let index = 0; index < length; index += 1) {
      if (!this.key() || !this.item()) return false
    }
    this.depth -= 1
    return true
  }

  /** A text, and not `__proto__`, which msgpackr renames. */
  private key(): boolean {
    const head = this.uint8()
    let length: number
    if (head >= 0xa0 && head < 0xc0) length = head & 0x1f
    else if (head === 0xd9) length = this.uint8()
    else return false
    const mayBeProto = length === PROTO_BYTES && this.bytes[this.position] === UNDERSCORE
    return !mayBeProto && this.ascii(length)
  }

  private ascii(length: number): boolean {
    const textEnd = this.position + length
    if (textEnd > this.end) return false
    for (; this.position < textEnd; this.position += 1) {
      if ((this.bytes[this.position] as number) > 127) return false
    }
    return true
  }

  private skip(count: number): boolean {
    this.position += count
    return true
  }

  private uint8(): number {
    const byte = this.bytes[this.position] ?? 0
    this.position += 1
    return byte
  }

  private uint16(): number {
    return this.uint8() * 0x100 + this.uint8()
  }
}

const PROTO_BYTES = '__proto__'.length
const UNDERSCORE = 0x5f
