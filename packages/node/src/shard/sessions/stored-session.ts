/**
 * How a session lies in LMDB, under its client's id: `[u32 checksum][MessagePack]` of
 *
 *   [low-water mark, forgotten up to, [sequence number, revision, answer, …]]
 *
 * where an answer that is the revision is nil, and one with parts is a binary.
 */
import { crc32 } from 'node:zlib'
import { WireReader, WireWriter } from '@kv/protocol'
import type { Answer } from '../answer.js'
import { StateDamage } from '../state/stored-entry.js'
import type { StorableSession } from './session-table.js'

const CHECKSUM_BYTES = 4
export const SESSION_KEY_BYTES = 8
const RESULTS_MAX = 16_777_216
const ANSWER_BYTES_MAX = 0x7fff_ffff

/** Sorts as the id does. */
export function sessionKey(clientId: number): Buffer {
  const key = Buffer.allocUnsafe(SESSION_KEY_BYTES)
  key.writeDoubleBE(clientId)
  return key
}

export function encodeSession(session: StorableSession): Buffer {
  const writer = new WireWriter(CHECKSUM_BYTES, CHECKSUM_BYTES)
  const { lowWater, forgottenUpTo, results } = session
  writer.array(3)
  writer.integer(lowWater)
  writer.integer(forgottenUpTo)
  writer.array(results.length * 3)
  for (const { sequence, revision, answer } of results) {
    writer.integer(sequence)
    writer.integer(revision)
    writeStoredAnswer(writer, answer, revision)
  }
  const stored = Buffer.from(writer.written())
  stored.writeUInt32LE(crc32(stored.subarray(CHECKSUM_BYTES)), 0)
  return stored
}

function writeStoredAnswer(writer: WireWriter, answer: Answer, revision: number): void {
  if (answer === revision) writer.nil()
  else if (answer instanceof Uint8Array) writer.binary(answer)
  else if (typeof answer === 'boolean') writer.boolean(answer)
  else throw new Error(`no write has the answer ${String(answer)}`)
}

/** Throws `StateDamage` on anything that was not written so. */
export function decodeSession(key: Buffer, stored: Buffer): StorableSession {
  const body = stored.subarray(CHECKSUM_BYTES)
  const isWhole = key.length === SESSION_KEY_BYTES && stored.length > CHECKSUM_BYTES
  const clientId = isWhole ? key.readDoubleBE(0) : 0
  if (!isWhole || stored.readUInt32LE(0) !== crc32(body)) {
    throw new StateDamage(`the stored session of client ${clientId} fails its checksum`)
  }
  const reader = new WireReader(body)
  reader.tuple(3)
  const lowWater = reader.unsigned()
  const forgottenUpTo = reader.unsigned()
  const results = Array.from({ length: reader.array(RESULTS_MAX) / 3 }, () => {
    const sequence = reader.unsigned()
    const revision = reader.unsigned()
    return { sequence, revision, answer: readStoredAnswer(reader, revision) }
  })
  reader.finish()
  return { clientId, lowWater, forgottenUpTo, results }
}

function readStoredAnswer(reader: WireReader, revision: number): Answer {
  if (reader.skipNil()) return revision
  const head = reader.peek()
  if (head === 0xc2 || head === 0xc3) return reader.boolean()
  // A copy: the memory is the stored state's.
  return new Uint8Array(reader.binary(ANSWER_BYTES_MAX))
}
