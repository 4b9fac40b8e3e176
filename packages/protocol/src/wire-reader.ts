/**
 * Reads the part of MessagePack that kv's fixed-shape messages and log records use.
 *
 * A cursor, not a decoder: the caller asks for what the shape demands and anything else (an
 * extension, a map, a length beyond the end) throws `PROTOCOL` before memory is spent on it. So
 * there is no second pass that validates, and bytes from outside can't choose what is built.
 */
import { protocolError } from './errors.js'
import { asPlatformBytes, isAscii, readLatin1, readUtf8 } from './utf8.js'

/** Up to this size one string of the whole message is cheaper than one native call per text. */
const SHARED_TEXT_BYTES_MAX = 65_536

export interface WireReaderOptions {
  /** Reads only `[start, end)`. */
  readonly start?: number
  readonly end?: number
  /**
   * Makes short texts slices of one string that spans the message, several times cheaper. Such a
   * slice keeps the whole string alive: only for texts that are not kept.
   */
  readonly shareText?: boolean
}

export class WireReader {
  readonly bytes: Uint8Array
  readonly end: number
  position: number
  /** Of all `bytes`. */
  readonly view: DataView
  private shared: string | undefined

  constructor(bytes: Uint8Array, options: WireReaderOptions = {}) {
    this.bytes = asPlatformBytes(bytes)
    this.position = options.start ?? 0
    this.end = options.end ?? bytes.length
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    if (options.shareText === true && bytes.length <= SHARED_TEXT_BYTES_MAX) {
      this.shared = readLatin1(this.bytes)
    }
  }

  get atEnd(): boolean {
    return this.position === this.end
  }

  /** The next item's first byte, not consumed. */
  peek(): number {
    this.assertLeft(1)
    return this.bytes[this.position] as number
  }

  private assertLeft(count: number): void {
    if (count > this.end - this.position) throw protocolError('message ends too early')
  }

  private take(count: number): number {
    this.assertLeft(count)
    const start = this.position
    this.position = start + count
    return start
  }

  /** A size in 8, 16 or 32 bits, for a `width` of 0, 1 or 2. */
  private sized(width: number): number {
    if (width === 0) return this.bytes[this.take(1)] as number
    return width === 1 ? this.view.getUint16(this.take(2)) : this.view.getUint32(this.take(4))
  }

  /** Length of an array of at most `lengthMax` items. Every item takes a byte at least. */
  array(lengthMax: number): number {
    const length = this.arrayLength()
    assertAtMost(length, lengthMax)
    this.assertLeft(length)
    return length
  }

  private arrayLength(): number {
    const head = this.bytes[this.take(1)] as number
    if ((head & 0xf0) === 0x90) return head & 0x0f
    if (head === 0xdc || head === 0xdd) return this.sized(head - 0xdb)
    throw unexpected('an array', head)
  }

  /** Number of pairs in a map. A pair takes two bytes at least. */
  map(): number {
    const head = this.bytes[this.take(1)] as number
    let pairs: number
    if ((head & 0xf0) === 0x80) pairs = head & 0x0f
    else if (head === 0xde || head === 0xdf) pairs = this.sized(head - 0xdd)
    else throw unexpected('a map', head)
    this.assertLeft(pairs * 2)
    return pairs
  }

  /** An array of exactly `length` items. */
  tuple(length: number): void {
    const found = this.arrayLength()
    if (found !== length) throw protocolError(`array of ${found} items where ${length} are due`)
  }

  isNil(): boolean {
    return this.peek() === 0xc0
  }

  isText(): boolean {
    const head = this.peek()
    return (head & 0xe0) === 0xa0 || (head >= 0xd9 && head <= 0xdb)
  }

  isArray(): boolean {
    const head = this.peek()
    return (head & 0xf0) === 0x90 || head === 0xdc || head === 0xdd
  }

  nil(): void {
    const head = this.bytes[this.take(1)] as number
    if (head !== 0xc0) throw unexpected('nil', head)
  }

  /** Consumes a nil if one is next. */
  skipNil(): boolean {
    if (!this.isNil()) return false
    this.position += 1
    return true
  }

  boolean(): boolean {
    const head = this.bytes[this.take(1)] as number
    if (head === 0xc3) return true
    if (head === 0xc2) return false
    throw unexpected('a boolean', head)
  }

  /** An integer from 0 to 2^53 - 1. */
  unsigned(): number {
    const value = this.integer()
    if (value < 0) throw protocolError(`${value} where a number of 0 or more is due`)
    return value
  }

  /** A safe integer. */
  integer(): number {
    const head = this.bytes[this.take(1)] as number
    if (head < 0x80) return head
    if (head >= 0xe0) return head - 0x100
    switch (head) {
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.sized(head - 0xcc)
      case 0xcf:
        return this.wide(this.sized(2))
      case 0xd0:
        return this.view.getInt8(this.take(1))
      case 0xd1:
        return this.view.getInt16(this.take(2))
      case 0xd2:
        return this.view.getInt32(this.take(4))
      case 0xd3:
        return this.wide(this.view.getInt32(this.take(4)))
      default:
        throw unexpected('an integer', head)
    }
  }

  private wide(high: number): number {
    const value = high * 0x1_0000_0000 + this.sized(2)
    if (!Number.isSafeInteger(value)) throw protocolError('integer beyond 2^53')
    return value
  }

  /** Any number: an integer or a double. */
  number(): number {
    if (this.peek() !== 0xcb) return this.integer()
    this.position += 1
    return this.view.getFloat64(this.take(8))
  }

  /** A text of at most `bytesMax` bytes. */
  text(bytesMax: number): string {
    const length = this.textLength()
    assertAtMost(length, bytesMax)
    const start = this.take(length)
    if (this.shared !== undefined && isAscii(this.bytes, start, start + length)) {
      return this.shared.substring(start, start + length)
    }
    return readUtf8(this.bytes, start, start + length)
  }

  private textLength(): number {
    const head = this.bytes[this.take(1)] as number
    if ((head & 0xe0) === 0xa0) return head & 0x1f
    if (head >= 0xd9 && head <= 0xdb) return this.sized(head - 0xd9)
    throw unexpected('a text', head)
  }

  /** Passes over a binary item and returns its length; its bytes end at `position`. */
  binaryLength(bytesMax: number): number {
    const head = this.bytes[this.take(1)] as number
    if (head < 0xc4 || head > 0xc6) throw unexpected('binary', head)
    const length = this.sized(head - 0xc4)
    assertAtMost(length, bytesMax)
    this.take(length)
    return length
  }

  /** A view of the message: copy what outlives it. */
  binary(bytesMax: number): Uint8Array {
    const length = this.binaryLength(bytesMax)
    return this.bytes.subarray(this.position - length, this.position)
  }

  /** Passes over an extension of `type` and returns its payload's length; it ends at `position`. */
  extensionLength(type: number): number {
    const head = this.bytes[this.take(1)] as number
    let length: number
    if (head >= 0xd4 && head <= 0xd8) length = 1 << (head - 0xd4)
    else if (head >= 0xc7 && head <= 0xc9) length = this.sized(head - 0xc7)
    else throw unexpected('an extension', head)
    const found = this.bytes[this.take(1)] as number
    if (found !== type) throw protocolError(`an extension of type ${found}`)
    this.take(length)
    return length
  }

  finish(): void {
    if (!this.atEnd) throw protocolError('bytes after the end of the message')
  }
}

function assertAtMost(size: number, sizeMax: number): void {
  if (size > sizeMax) throw protocolError(`a size of ${size} where at most ${sizeMax} are allowed`)
}

function unexpected(wanted: string, head: number): Error {
  return protocolError(`${wanted} is due, found byte 0x${head.toString(16).padStart(2, '0')}`)
}
