/**
 * Strings to UTF-8 bytes and back, as fast as the platform allows.
 *
 * Node's `Buffer` has slices that beat `TextDecoder` several times on short strings; a browser has
 * only the latter. This file is the one place that knows the difference.
 */
import { KvError } from './errors.js'

/** The part of Node's Buffer used here; absent in browsers. */
interface NodeBytes extends Uint8Array {
  latin1Slice(start: number, end: number): string
  utf8Write(text: string, offset: number): number
  copy(target: Uint8Array, targetStart: number, start: number, end: number): number
}
interface NodeBuffer {
  from(buffer: ArrayBufferLike, offset: number, length: number): NodeBytes
  allocUnsafeSlow(bytes: number): NodeBytes
  isBuffer(bytes: Uint8Array): bytes is NodeBytes
}
interface Encoding {
  encodeInto(text: string, target: Uint8Array): { read: number; written: number }
}
interface Decoding {
  decode(bytes: Uint8Array): string
}
interface Platform {
  readonly TextEncoder: new () => Encoding
  readonly TextDecoder: new (
    label: string,
    options: { fatal: boolean; ignoreBOM: boolean },
  ) => Decoding
}

const platform = globalThis as unknown as Platform
const nodeBuffer = (globalThis as unknown as { readonly Buffer?: NodeBuffer }).Buffer
const encoder = new platform.TextEncoder()
/** Fatal: bytes that are not UTF-8 are refused. ignoreBOM: U+FEFF is a character like any other. */
const decoder = new platform.TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Memory for `length` bytes, not zeroed where the platform allows it: fill before use. */
export function allocateBytes(length: number): Uint8Array {
  return nodeBuffer === undefined ? new Uint8Array(length) : nodeBuffer.allocUnsafeSlow(length)
}

/** The same memory as a Node Buffer where there is one, so that its fast slices can be used. */
export function asPlatformBytes(bytes: Uint8Array): Uint8Array {
  if (nodeBuffer === undefined || nodeBuffer.isBuffer(bytes)) return bytes
  return nodeBuffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Copies `source[start, end)` to `target` at `position` without making a view in Node. */
export function copyBytes(
  source: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  position: number,
): void {
  if (nodeBuffer !== undefined && nodeBuffer.isBuffer(source)) {
    source.copy(target, position, start, end)
  } else {
    target.set(source.subarray(start, end), position)
  }
}

/** Writes `text` at `position`; there must be room for three bytes a UTF-16 unit. Returns the end. */
export function writeUtf8(target: Uint8Array, text: string, position: number): number {
  if (text.length <= 40) {
    const end = writeAscii(target, text, position)
    if (end >= 0) return end
  }
  if (nodeBuffer !== undefined && nodeBuffer.isBuffer(target)) {
    return position + target.utf8Write(text, position)
  }
  return position + encoder.encodeInto(text, target.subarray(position)).written
}

/** The loop beats a native call on short text. Returns -1 at the first unit above 127. */
function writeAscii(target: Uint8Array, text: string, position: number): number {
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index)
    if (unit > 127) return -1
    target[position + index] = unit
  }
  return position + text.length
}

/** Reads `[start, end)` as UTF-8. Throws `PROTOCOL` where the bytes are not UTF-8. */
export function readUtf8(source: Uint8Array, start: number, end: number): string {
  if (nodeBuffer !== undefined && isAscii(source, start, end) && nodeBuffer.isBuffer(source)) {
    return source.latin1Slice(start, end)
  }
  try {
    return decoder.decode(source.subarray(start, end))
  } catch (cause) {
    throw new KvError('PROTOCOL', 'text is not valid UTF-8', { cause })
  }
}

export function isAscii(source: Uint8Array, start: number, end: number): boolean {
  for (let index = start; index < end; index += 1) {
    if ((source[index] as number) > 127) return false
  }
  return true
}

/** Every byte as one character: one native call for many short ASCII strings. */
export function readLatin1(source: Uint8Array): string | undefined {
  return nodeBuffer !== undefined && nodeBuffer.isBuffer(source)
    ? source.latin1Slice(0, source.length)
    : undefined
}
