/**
 * Writes a value of any shape.
 *
 * One walk both refuses what cannot be carried and writes what can: each property is read once, so
 * a getter runs once and what was checked is what is written. The code of the caller that may run
 * meanwhile (getters, proxies) may also throw, or change what is walked: counts are taken first.
 */
import { KvError } from './errors.js'
import { isWellFormed } from './keys.js'
import { VALUE_BYTES_MAX, VALUE_DEPTH_MAX } from './limits.js'
import { bytesOfBigint } from './value-bigint.js'
import { TYPED_ARRAY_KINDS, VALUE_EXTENSION, VALUE_KINDS } from './value-kinds.js'
import { isRefused, refusalOf } from './value-refusals.js'
import type { WireWriter } from './wire-writer.js'

export class ValueWriter {
  private readonly writer: WireWriter
  private readonly positionMax: number
  /** The containers around what is being written, outermost first. */
  private readonly path: object[] = []

  constructor(writer: WireWriter) {
    this.writer = writer
    this.positionMax = writer.position + VALUE_BYTES_MAX
  }

  write(value: unknown): void {
    // Here and not only at the end: an object met often on ever new paths multiplies without end.
    if (this.writer.position > this.positionMax) throw valueTooLarge()
    switch (typeof value) {
      case 'string':
        this.text(value)
        return
      case 'number':
        this.writer.number(value)
        return
      case 'boolean':
        this.writer.boolean(value)
        return
      case 'bigint':
        this.extension(
          value < 0n ? VALUE_KINDS.negativeBigint : VALUE_KINDS.bigint,
          bytesOfBigint(value < 0n ? -value : value),
        )
        return
      case 'undefined':
        this.kind(VALUE_KINDS.undefined, 0)
        return
      case 'object':
        if (value === null) this.writer.nil()
        else this.object(value)
        return
      case 'function':
      case 'symbol':
        throw refusalOf(typeof value)
    }
  }

  private object(value: object): void {
    if (Array.isArray(value)) {
      this.array(value)
      return
    }
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype === Object.prototype || prototype === null) {
      this.fields(value, Object.keys(value))
    } else if (ArrayBuffer.isView(value)) {
      this.view(value)
    } else {
      this.instance(value, tagOf(value))
    }
  }

  private array(items: readonly unknown[]): void {
    const length = items.length
    this.enter(items)
    this.writer.array(length)
    for (let index = 0; index < length; index += 1) this.write(items[index])
    this.path.pop()
  }

  private fields(value: object, keys: readonly string[]): void {
    this.enter(value)
    this.writer.map(keys.length)
    for (const key of keys) {
      this.text(key)
      this.write((value as Record<string, unknown>)[key])
    }
    this.path.pop()
  }

  private view(value: ArrayBufferView): void {
    const tag = tagOf(value)
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
    if (tag === 'Uint8Array') {
      this.writer.binary(bytes)
      return
    }
    const kind = TYPED_ARRAY_KINDS.get(tag)
    if (kind === undefined) throw refusalOf(tag)
    this.extension(kind, bytes)
  }

  private instance(value: object, tag: string): void {
    switch (tag) {
      case 'Date':
        this.date(value)
        return
      case 'Map':
        this.marked(VALUE_KINDS.map, value, mapItems(value))
        return
      case 'Set':
        this.marked(VALUE_KINDS.set, value, [...Set.prototype.values.call(value)])
        return
      default: {
        const keys = isRefused(tag) ? [] : Object.keys(value)
        if (keys.length === 0 && tag !== 'Object') throw refusalOf(tag)
        this.fields(value, keys)
      }
    }
  }

  private date(value: object): void {
    const ms = Date.prototype.getTime.call(value)
    this.kind(VALUE_KINDS.date, 8)
    this.writer.float64(ms)
  }

  private marked(kind: number, container: object, items: readonly unknown[]): void {
    this.enter(container)
    this.writer.array(1 + items.length)
    this.kind(kind, 0)
    for (const item of items) this.write(item)
    this.path.pop()
  }

  private enter(container: object): void {
    if (this.path.includes(container)) {
      throw new TypeError('a value cannot contain itself; store an id of the object instead')
    }
    if (this.path.length === VALUE_DEPTH_MAX) {
      throw new TypeError(`a value is nested at most ${VALUE_DEPTH_MAX} deep; this one is deeper`)
    }
    this.path.push(container)
  }

  private text(value: string): void {
    if (value.length > VALUE_BYTES_MAX) throw valueTooLarge()
    if (isWellFormed(value)) this.writer.text(value)
    else this.extension(VALUE_KINDS.utf16, unitsOf(value))
  }

  private extension(kind: number, data: Uint8Array): void {
    this.kind(kind, data.length)
    this.writer.raw(data)
  }

  /** Begins an extension of this kind: `dataBytes` must follow. */
  private kind(kind: number, dataBytes: number): void {
    this.writer.extensionHeader(VALUE_EXTENSION, 1 + dataBytes)
    this.writer.uint8(kind)
  }
}

export function valueTooLarge(): KvError {
  return new KvError('VALUE_TOO_LARGE', `a value has at most ${VALUE_BYTES_MAX} bytes as encoded`)
}

/** `Map` of a Map, `Object` of most else; of another realm too, where `instanceof` fails. */
function tagOf(value: object): string {
  return Object.prototype.toString.call(value).slice(8, -1)
}

/** Keys and values in turn. */
function mapItems(map: object): unknown[] {
  const items: unknown[] = []
  Map.prototype.forEach.call(map as Map<unknown, unknown>, (value, key) => items.push(key, value))
  return items
}

function unitsOf(text: string): Uint8Array {
  const units = Uint16Array.from({ length: text.length }, (_, index) => text.charCodeAt(index))
  return new Uint8Array(units.buffer)
}
