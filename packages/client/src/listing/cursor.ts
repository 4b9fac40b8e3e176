/**
 * Cursors: where a listing goes on, in another process if need be. Pure.
 *
 * Opaque to users: MessagePack `[version, reverse, hash of the range, last key]` in base64url. The
 * hash makes a cursor of another range an error instead of a wrong answer.
 */
import type { KeyRange } from '@kv/protocol'
import { KEY_BYTES_MAX, KvError, WireReader, WireWriter } from '@kv/protocol'
import { fromOpaqueText, hashOfText, toOpaqueText } from '../opaque-text.js'

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
  if (typeof cursor !== 'string') throw new TypeError(`cursor is a string, not ${typeof cursor}`)
  const { isReverse, rangeHash, lastKey } = parse(cursor)
  if (isReverse !== reverse) throw invalid('it belongs to a listing in the other direction')
  if (rangeHash !== hashOf(range)) throw invalid('it belongs to a listing of another range')
  return lastKey
}

function parse(cursor: string): { isReverse: boolean; rangeHash: number; lastKey: string } {
  try {
    const reader = new WireReader(fromOpaqueText(cursor))
    reader.tuple(4)
    if (reader.unsigned() !== CURSOR_VERSION) throw new Error('of another version')
    const isReverse = reader.boolean()
    const rangeHash = reader.unsigned()
    const lastKey = reader.text(KEY_BYTES_MAX)
    reader.finish()
    return { isReverse, rangeHash, lastKey }
  } catch (cause) {
    throw invalid('it is not one this version of the client made', cause)
  }
}

function invalid(why: string, cause?: unknown): KvError {
  return new KvError('INVALID_CURSOR', `the cursor does not fit: ${why}; list from the start`, {
    cause,
  })
}

/** No bound differs from every bound. */
function hashOf({ from, to }: KeyRange): number {
  return hashOfText(`${from.length}:${from}${to === undefined ? '' : `:${to}`}`)
}
