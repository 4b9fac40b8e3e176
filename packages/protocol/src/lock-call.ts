/**
 * The calls `lock` and `unlock`: to have a key alone, or to queue for it.
 *
 * The lock is the entry under the key; whoever made it holds it until it is deleted or its time is
 * over. Who waits has a ticket, and is an entry of the system (`system-keys.ts`).
 */
import { protocolError } from './errors.js'
import { LOCK_OWNER_BYTES_MAX } from './limits.js'
import type { WireReader } from './wire-reader.js'
import type { WireWriter } from './wire-writer.js'

/** Takes the lock if it is free and nobody waits longer; else queues, or goes on waiting. */
export interface LockCall {
  readonly type: 'lock'
  readonly key: string
  /** The encoded value that the lock gets; different for everyone who asks. */
  readonly owner: Uint8Array
  readonly ttlMs: number
  /** What was answered when it queued; 0: it does not wait yet. */
  readonly ticket: number
  /** How long it stays in the queue unless it asks again; `undefined`: it does not queue. */
  readonly waitMs: number | undefined
}

/** Gives back the lock, or the place in the queue: whatever belongs to the owner. */
export interface UnlockCall {
  readonly type: 'unlock'
  readonly key: string
  readonly owner: Uint8Array
  readonly ticket: number
}

export function writeLock(writer: WireWriter, call: LockCall): void {
  writer.text(call.key)
  writer.binary(call.owner)
  writer.number(call.ttlMs)
  writer.integer(call.ticket)
  if (call.waitMs === undefined) writer.nil()
  else writer.number(call.waitMs)
}

export function writeUnlock(writer: WireWriter, call: UnlockCall): void {
  writer.text(call.key)
  writer.binary(call.owner)
  writer.integer(call.ticket)
}

export function readLock(reader: WireReader, key: string): LockCall {
  const owner = readOwner(reader)
  const ttlMs = readDuration(reader)
  const ticket = reader.unsigned()
  const waitMs = reader.skipNil() ? undefined : readDuration(reader)
  return { type: 'lock', key, owner, ttlMs, ticket, waitMs }
}

export function readUnlock(reader: WireReader, key: string): UnlockCall {
  return { type: 'unlock', key, owner: readOwner(reader), ticket: reader.unsigned() }
}

function readOwner(reader: WireReader): Uint8Array {
  const owner = reader.binary(LOCK_OWNER_BYTES_MAX)
  if (owner.length === 0) throw protocolError('a lock without an owner')
  return owner
}

function readDuration(reader: WireReader): number {
  const ms = reader.number()
  if (Number.isFinite(ms) && ms > 0) return ms
  throw protocolError(`a duration of ${ms} ms`)
}
