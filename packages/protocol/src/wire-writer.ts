/**
 * Writes the part of MessagePack that kv's fixed-shape messages and log records use.
 *
 * The caller knows the shape, so it says what comes next: `array(3)`, `integer(7)`, `text(key)`.
 * Nothing is inspected at run time and nothing is allocated per item. What is written is plain
 * MessagePack, readable by any decoder of it.
 */
import { allocateBytes, copyBytes, writeUtf8 } from './utf8.js'

const BYTES_MIN = 1_024

/** First byte of an extension by the length of its payload, for the lengths that have their own. */
const FIXED_EXTENSIONS: Readonly<Record<number, number>> = {
  1: 0xd4,
  2: 0xd5,
  4: 0xd6,
  8: 0xd7,
  16: 0xd8,
}

export class WireWriter {
  /** The memory written to. Replaced by a larger one as it grows: never hold it across a write. */
  bytes: Uint8Array
  /** Where the next item goes; everything before it is written. */
  position: number
  private view: DataView

  /**
   * On memory that exists, or on as many bytes of its own. `headroomBytes` are left free in front, for
   * a header that is known only at the end.
   */
  constructor(memory: number | Uint8Array = BYTES_MIN, headroomBytes: number = 0) {
    this.bytes = typeof memory === 'number' ? allocateBytes(Math.max(memory, BYTES_MIN)) : memory
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength)
    this.position = headroomBytes
  }

  /**
   * Moves what is written to `target`, which has room for it, and goes on there. Returns the memory
   * it had before.
   */
  moveTo(target: Uint8Array): Uint8Array {
    const former = this.bytes
    copyBytes(former, 0, this.position, target, 0)
    this.bytes = target
    this.view = new DataView(target.buffer, target.byteOffset, target.byteLength)
    return former
  }

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    const needed = this.position + count
    if (needed <= this.bytes.length) return
    const grown = allocateBytes(Math.max(needed, this.bytes.length * 2))
    this.moveTo(grown)
  }

  array(length: number): void {
    this.reserve(5)
    if (length < 16) this.byte(0x90 | length)
    else this.sized16(0xdc, length)
  }

  nil(): void {
    this.reserve(1)
    this.byte(0xc0)
  }

  boolean(value: boolean): void {
    this.reserve(1)
    this.byte(value ? 0xc3 : 0xc2)
  }

  /** A safe integer in its shortest form. */
  integer(value: number): void {
    this.reserve(9)
    if (value >= 0) this.unsigned(value)
    else this.negative(value)
  }

  private unsigned(value: number): void {
    if (value < 0x80) this.byte(value)
    else if (value < 0x1_0000_0000) this.sized8(0xcc, value)
    else this.wide(0xcf, value)
  }

  private negative(value: number): void {
    if (value >= -32) {
      this.byte(value & 0xff)
    } else if (value >= -0x80) {
      this.byte(0xd0)
      this.byte(value & 0xff)
    } else if (value >= -0x8000) {
      this.byte(0xd1)
      this.uint16(value)
    } else if (value >= -0x8000_0000) {
      this.byte(0xd2)
      this.uint32(value)
    } else {
      this.wide(0xd3, value)
    }
  }

  private wide(head: number, value: number): void {
    this.byte(head)
    this.uint32(Math.floor(value / 0x1_0000_0000))
    this.uint32(value)
  }

  /** A size in 8, 16 or 32 bits; the heads for these follow one another. */
  private sized8(head: number, size: number): void {
    if (size < 0x100) {
      this.byte(head)
      this.byte(size)
    } else {
      this.sized16(head + 1, size)
    }
  }

  /** A size in 16 or 32 bits. */
  private sized16(head: number, size: number): void {
    if (size < 0x1_0000) {
      this.byte(head)
      this.uint16(size)
    } else {
      this.byte(head + 1)
      this.uint32(size)
    }
  }

  /** Any number: an integer in its shortest form where it is one (-0 becomes 0), else a double. */
  number(value: number): void {
    if (Number.isSafeInteger(value)) {
      this.integer(value)
      return
    }
    this.uint8(0xcb)
    this.float64(value)
  }

  text(value: string): void {
    const units = value.length
    this.reserve(5 + units * 3)
    // The header's size depends on the bytes, known only after writing. They are hardly ever so
    // many more than the units that a longer header is needed; then they are moved.
    const guess = textHeaderBytes(units)
    const start = this.position + guess
    const end = writeUtf8(this.bytes, value, start)
    const length = end - start
    const headerBytes = textHeaderBytes(length)
    if (headerBytes > guess) this.bytes.copyWithin(this.position + headerBytes, start, end)
    if (headerBytes === 1) this.byte(0xa0 | length)
    else this.sized8(0xd9, length)
    this.position += length
  }

  /** The header of a map; `length` keys and values must follow in turn. */
  map(length: number): void {
    this.reserve(5)
    if (length < 16) this.byte(0x80 | length)
    else this.sized16(0xde, length)
  }

  /** The header of an extension item and its type; `length` bytes must follow. */
  extensionHeader(type: number, length: number): void {
    this.reserve(6)
    const fixed = FIXED_EXTENSIONS[length]
    if (fixed === undefined) this.sized8(0xc7, length)
    else this.byte(fixed)
    this.byte(type)
  }

  /** The header of a binary item; `length` bytes must follow through `raw`. */
  binaryHeader(length: number): void {
    this.reserve(5)
    this.sized8(0xc4, length)
  }

  binary(source: Uint8Array, start: number = 0, end: number = source.length): void {
    this.binaryHeader(end - start)
    this.raw(source, start, end)
  }

  /** One byte as it is: part of an extension. */
  uint8(value: number): void {
    this.reserve(1)
    this.byte(value)
  }

  /** Eight bytes of an extension. */
  float64(value: number): void {
    this.reserve(8)
    this.view.setFloat64(this.position, value)
    this.position += 8
  }

  /** Bytes as they are: items that were encoded elsewhere. */
  raw(source: Uint8Array, start: number = 0, end: number = source.length): void {
    this.reserve(end - start)
    copyBytes(source, start, end, this.bytes, this.position)
    this.position += end - start
  }

  /** For this and the next two, room was reserved by the caller. Of a negative number: its bits. */
  private byte(value: number): void {
    this.bytes[this.position] = value
    this.position += 1
  }

  private uint16(value: number): void {
    this.view.setUint16(this.position, value)
    this.position += 2
  }

  private uint32(value: number): void {
    this.view.setUint32(this.position, value)
    this.position += 4
  }

  /**
   * What was written after `headroomBytes` of headroom, with `front` before it. Nothing but `front`
   * is copied unless it is longer than the headroom.
   */
  writtenBehind(front: WireWriter, headroomBytes: number): Uint8Array {
    if (front.position <= headroomBytes) {
      const start = headroomBytes - front.position
      this.bytes.set(front.written(), start)
      return this.written(start)
    }
    const whole = new WireWriter(front.position + this.position - headroomBytes)
    whole.raw(front.bytes, 0, front.position)
    whole.raw(this.bytes, headroomBytes, this.position)
    return whole.written()
  }

  /** What was written, from `start`; a view of the writer's memory. */
  written(start: number = 0): Uint8Array {
    return this.bytes.subarray(start, this.position)
  }
}

function textHeaderBytes(length: number): 1 | 2 | 3 | 5 {
  if (length < 32) return 1
  if (length < 0x100) return 2
  return length < 0x1_0000 ? 3 : 5
}
