/**
 * Values to bytes: whatever `docs/protocol.md` lists comes back exactly, in Node and in browsers
 * alike, and nothing else gets in. `value-decoder-node.ts` is the way back.
 *
 * Primitives, text and bytes are MessagePack items on their own and take the direct path here.
 * Everything nested is walked by `ValueWriter`.
 */
import { isWellFormed } from './keys.js'
import { VALUE_BYTES_MAX } from './limits.js'
import { ValueWriter, valueTooLarge } from './value-writer.js'
import { WireWriter } from './wire-writer.js'

/**
 * Appends `value` as encoded. Throws `TypeError` for what cannot be carried, and whatever a getter
 * of the value throws; `VALUE_TOO_LARGE` beyond `VALUE_BYTES_MAX`. Then nothing was appended.
 */
export function encodeValue(writer: WireWriter, value: unknown): void {
  const start = writer.position
  if (typeof value === 'string' && value.length <= VALUE_BYTES_MAX && isWellFormed(value)) {
    writer.text(value)
  } else if (typeof value === 'number') {
    writer.number(value)
  } else if (typeof value === 'boolean') {
    writer.boolean(value)
  } else if (value === null) {
    writer.nil()
  } else if (value instanceof Uint8Array) {
    writer.binary(value)
  } else if (value === undefined) {
    throw new TypeError('undefined is not a value; store null, or delete the key')
  } else {
    encodeTree(writer, value)
  }
  if (writer.position - start > VALUE_BYTES_MAX) {
    writer.position = start
    throw valueTooLarge()
  }
}

export { readNumberValue, writeNumberValue } from './value-number.js'

/** Memory that is kept from one value to the next is at most this much. */
const SPARE_BYTES_MAX = 65_536

let spare: WireWriter | undefined

/**
 * By way of a writer of its own: while the value is walked its getters may run, and encode
 * something else to the same `writer`, or throw.
 */
function encodeTree(writer: WireWriter, value: unknown): void {
  const tree = spare ?? new WireWriter()
  spare = undefined
  try {
    new ValueWriter(tree).write(value)
    writer.raw(tree.bytes, 0, tree.position)
  } finally {
    tree.position = 0
    if (tree.bytes.length <= SPARE_BYTES_MAX) spare = tree
  }
}
