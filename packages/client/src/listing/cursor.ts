/**
 * Cursors: where a listing goes on, in another process if need be. Pure.
 *
 * Opaque to users: MessagePack `[version, reverse, hash of the range, last key]` in base64url. The
 * hash makes a cursor of another range an error instead of a wrong answer.
 */
import type { KeyRange } from '@kv/protocol'
import { KEY_BYTES_MAX, WireWriter } from '@kv/protocol'
import { hashOfText, invalidCursor, readCursor, toOpaqueText } from '../opaque-text.js'

const CURSOR_VERSION = 1

export function encodeCursor(range: KeyRange, reverse: boolean, lastKey: string): string {
  const writer = new WireWriter()
  writer.array(4)
  writer.integer(CURSOR_VERSION)
  writer.boolean(reverse)
  writer.integer(hashOf(range))
  writer.text(lastKey)
  return toOpaqueText(writer.written())
}

/** The last key handed out. Throws `INVALID_CURSOR` for what is no cursor of this listing. */
export function decodeCursor(cursor: unknown, range: KeyRange, reverse: boolean): string {
  const { isReverse, rangeHash, lastKey } = readCursor(
    'cursor',
    cursor,
    CURSOR_VERSION,
    (reader) => ({
      isReverse: reader.boolean(),
      rangeHash: reader.unsigned(),
      lastKey: reader.text(KEY_BYTES_MAX),
    }),
  )
  if (isReverse !== reverse) throw invalidCursor('it belongs to a listing in the other direction')
  if (rangeHash !== hashOf(range)) throw invalidCursor('it belongs to a listing of another range')
  return lastKey
}

/** No bound differs from every bound. */
function hashOf({ from, to }: KeyRange): number {
  return hashOfText(`${from.length}:${from}${to === undefined ? '' : `:${to}`}`)
}
