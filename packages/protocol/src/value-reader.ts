/**
 * Reads a value of any shape, strictly: whatever no `ValueWriter` writes throws `PROTOCOL`.
 *
 * The bytes may come from anyone's client. Nothing is allocated by a length alone, nothing read
 * becomes code, and a key is only ever an own property of the object it stands in.
 */
import { protocolError } from './errors.js'
import { VALUE_DEPTH_MAX } from './limits.js'
import { bigintOfBytes } from './value-bigint.js'
import { TYPED_ARRAYS, VALUE_EXTENSION, VALUE_KINDS } from './value-kinds.js'
import { WireReader } from './wire-reader.js'

export class ValueReader {
  private readonly reader: WireReader
  private depth = 0

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.reader = new WireReader(bytes, { start, end })
  }

  /** The one value that the bytes hold. */
  readAll(): unknown {
    const value = this.read()
    this.reader.finish()
    return value
  }

  private read(): unknown {
    const reader = this.reader
    const head = reader.peek()
    if (head < 0x80 || head >= 0xe0) return reader.integer()
    if (head < 0x90) return this.object()
    if (head < 0xa0) return this.array()
    if (head < 0xc0) return reader.text(reader.end)
    switch (head) {
      case 0xc0:
        reader.nil()
        return null
      case 0xc2:
      case 0xc3:
        return reader.boolean()
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return copyOf(reader.binary(reader.end))
      case 0xd9:
      case 0xda:
      case 0xdb:
        return reader.text(reader.end)
      case 0xdc:
      case 0xdd:
        return this.array()
      case 0xde:
      case 0xdf:
        return this.object()
      default:
        return isExtension(head) ? this.extension() : reader.number()
    }
  }

  private object(): Record<string, unknown> {
    const object: Record<string, unknown> = {}
    const pairs = this.reader.map()
    this.enter()
    for (let index = 0; index < pairs; index += 1) {
      const key = this.key()
      const value = this.read()
      if (key === '__proto__') defineField(object, key, value)
      else object[key] = value
    }
    this.depth -= 1
    return object
  }

  private key(): string {
    if (this.reader.isText()) return this.reader.text(this.reader.end)
    const key = isExtension(this.reader.peek()) ? this.extension() : undefined
    if (typeof key !== 'string') throw protocolError('a key of an object is not a text')
    return key
  }

  private array(): unknown {
    const length = this.reader.array(this.reader.end)
    this.enter()
    const mark = length > 0 && isExtension(this.reader.peek()) ? this.mark() : undefined
    const items: unknown[] = []
    // An array of this length might never fit in memory: it grows with what is really there.
    for (let index = mark === undefined ? 0 : 1; index < length; index += 1) items.push(this.read())
    this.depth -= 1
    if (mark === undefined) return items
    return mark === VALUE_KINDS.map ? mapOf(items) : new Set(items)
  }

  /** Consumes a mark if one is next. */
  private mark(): number | undefined {
    const { reader } = this
    const start = reader.position
    const length = reader.extensionLength(VALUE_EXTENSION)
    const kind = reader.bytes[reader.position - length]
    if (length === 1 && (kind === VALUE_KINDS.map || kind === VALUE_KINDS.set)) return kind
    reader.position = start
    return undefined
  }

  private enter(): void {
    if (this.depth === VALUE_DEPTH_MAX) throw protocolError('a value is nested too deep')
    this.depth += 1
  }

  private extension(): unknown {
    const { reader } = this
    const length = reader.extensionLength(VALUE_EXTENSION)
    if (length === 0) throw protocolError('a value without a kind')
    const start = reader.position - length
    const kind = reader.bytes[start] as number
    // By far the most frequent, and without data.
    if (kind === VALUE_KINDS.undefined && length === 1) return undefined
    return extensionOf(kind, reader.bytes.subarray(start + 1, reader.position))
  }
}

function extensionOf(kind: number, data: Uint8Array): unknown {
  switch (kind) {
    case VALUE_KINDS.bigint:
      return bigintOfBytes(data)
    case VALUE_KINDS.negativeBigint:
      return -bigintOfBytes(data)
    case VALUE_KINDS.date:
      return dateOf(data)
    case VALUE_KINDS.utf16:
      return textOfUnits(data)
    default:
      return typedArrayOf(kind, data)
  }
}

function isExtension(head: number): boolean {
  return (head >= 0xc7 && head <= 0xc9) || (head >= 0xd4 && head <= 0xd8)
}

/** A copy with memory of its own, never Node's Buffer. */
export function copyOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes.length)
  copy.set(bytes)
  return copy
}

/** Assigning to `__proto__` would set the prototype. */
function defineField(object: object, key: string, value: unknown): void {
  Object.defineProperty(object, key, {
    value,
    writable: true,
    enumerable: true,
    configurable: true,
  })
}

function mapOf(items: readonly unknown[]): Map<unknown, unknown> {
  if (items.length % 2 !== 0) throw protocolError('a map ends with a key')
  const map = new Map<unknown, unknown>()
  for (let index = 0; index < items.length; index += 2) map.set(items[index], items[index + 1])
  return map
}

function dateOf(data: Uint8Array): Date {
  if (data.length !== 8) throw protocolError(`a date of ${data.length} bytes`)
  const ms = new DataView(data.buffer, data.byteOffset, 8).getFloat64(0)
  const date = new Date(ms)
  if (date.getTime() !== ms && !Number.isNaN(ms)) throw protocolError(`no date is ${ms} ms`)
  return date
}

/** Units that become a string at once; each is an argument of a call. */
const UNITS_AT_ONCE = 4_096

function textOfUnits(data: Uint8Array): string {
  if (data.length % 2 !== 0) throw protocolError('half a UTF-16 unit')
  const units = new Uint16Array(copyOf(data).buffer)
  let text = ''
  for (let start = 0; start < units.length; start += UNITS_AT_ONCE) {
    text += String.fromCharCode(...units.subarray(start, start + UNITS_AT_ONCE))
  }
  return text
}

function typedArrayOf(kind: number, data: Uint8Array): ArrayBufferView {
  const constructor = TYPED_ARRAYS.get(kind)
  if (constructor === undefined) throw protocolError(`no value has kind ${kind}`)
  if (data.length % constructor.BYTES_PER_ELEMENT !== 0) {
    throw protocolError(`${data.length} bytes are no whole ${constructor.name}`)
  }
  return new constructor(copyOf(data).buffer)
}
