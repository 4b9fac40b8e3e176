/**
 * Stored entries that were read lately, for all shards of a child together.
 *
 * A read of LMDB searches pages that are rarely in the processor's caches, copies the entry and
 * verifies its checksum: about ten times the cost of finding it here. The cache is one piece of
 * memory that is written round and round, so its size is its limit (P7) and nothing of it is ever
 * collected as garbage; the memory is taken from the system as it fills.
 *
 * A position counts units of eight bytes since the beginning, and names an entry for as long as the
 * ring has not come round to it: what is overwritten need not be taken out.
 */
import { routeHash } from '@kv/protocol'
import type { LiveHeld } from '../held.js'
import { FoundEntry } from './stored-entry.js'

const UNIT_BYTES = 8
/** Larger values are not kept: copying them costs as much as finding them. */
export const CACHED_VALUE_BYTES_MAX = 4_096
/** `[f64 version][f64 expiry][u32 owner][u32 key units][u32 value bytes][u32 free]`. */
const HEADER_BYTES = 32

/** Slots of a bucket: `WAYS` hashes, then `WAYS` positions, together half a line of the cache. */
const WAYS = 4
const BUCKET_WORDS = 2 * WAYS
/** Bytes of memory per slot: a short key with a value of about a hundred bytes. */
const BYTES_PER_SLOT = 128
/** Times round the ring after which all is forgotten and positions, of 32 bits, begin anew. */
const ROUNDS_MAX = 256

export class ReadCache {
  private readonly memory: Buffer
  private readonly floats: Float64Array
  private readonly words: Uint32Array
  private readonly halves: Uint16Array
  /** Position 0 is nowhere: the slot is free. */
  private readonly slots: Uint32Array
  private readonly bucketBits: number
  private readonly unitsMax: number
  private readonly found = new FoundEntry()
  /** Where the next entry goes. */
  private head = 1
  private newestOwner = 0

  /** `bytes` is a power of two from 64 KiB to 64 MiB. */
  constructor(bytes: number) {
    this.memory = Buffer.allocUnsafeSlow(bytes)
    const { buffer } = this.memory
    this.floats = new Float64Array(buffer)
    this.words = new Uint32Array(buffer)
    this.halves = new Uint16Array(buffer)
    this.unitsMax = bytes / UNIT_BYTES
    this.bucketBits = Math.log2(bytes / BYTES_PER_SLOT / WAYS)
    this.slots = new Uint32Array((1 << this.bucketBits) * BUCKET_WORDS)
  }

  /** A name for the entries of a state. It never comes again: those of a closed one are not found. */
  newOwner(): number {
    this.newestOwner += 1
    return this.newestOwner
  }

  /** Valid until the next call of anything here. */
  get(owner: number, key: string): LiveHeld | undefined {
    const slot = this.slotOf(owner, key)
    if (slot < 0) return undefined
    return this.point(this.slots[slot + WAYS] as number)
  }

  private point(position: number): LiveHeld {
    const unit = position & (this.unitsMax - 1)
    const { found, floats, words } = this
    found.version = floats[unit] as number
    found.expiresAt = floats[unit + 1] as number
    found.memory.bytes = this.memory
    found.start = unit * UNIT_BYTES + HEADER_BYTES + 2 * (words[2 * unit + 5] as number)
    found.end = found.start + (words[2 * unit + 6] as number)
    return found
  }

  put(owner: number, key: string, held: LiveHeld): void {
    const valueBytes = held.end - held.start
    if (valueBytes > CACHED_VALUE_BYTES_MAX) return
    const position = this.take(HEADER_BYTES + 2 * key.length + valueBytes)
    const unit = position & (this.unitsMax - 1)
    this.floats[unit] = held.version
    this.floats[unit + 1] = held.expiresAt
    this.words[2 * unit + 4] = owner
    this.words[2 * unit + 5] = key.length
    this.words[2 * unit + 6] = valueBytes
    const keyStart = 4 * unit + HEADER_BYTES / 2
    for (let index = 0; index < key.length; index += 1) {
      this.halves[keyStart + index] = key.charCodeAt(index)
    }
    const { bytes } = held.memory
    this.memory.set(bytes.subarray(held.start, held.end), 2 * (keyStart + key.length))
    this.enlist(routeHash(key), position)
  }

  /** The entry is another one from now on. */
  forget(owner: number, key: string): void {
    if (this.head === 1) return
    const slot = this.slotOf(owner, key)
    if (slot >= 0) this.slots[slot + WAYS] = 0
  }

  /** Room at the head, in one piece. */
  private take(bytes: number): number {
    const units = Math.ceil(bytes / UNIT_BYTES)
    if (this.head > this.unitsMax * ROUNDS_MAX) {
      this.slots.fill(0)
      this.head = 1
    }
    const left = this.unitsMax - (this.head & (this.unitsMax - 1))
    if (units > left) this.head += left
    const position = this.head
    this.head += units
    return position
  }

  private enlist(hash: number, position: number): void {
    const bucket = this.bucketOf(hash)
    let oldest = bucket
    for (let slot = bucket; slot < bucket + WAYS; slot += 1) {
      if ((this.slots[slot + WAYS] as number) < (this.slots[oldest + WAYS] as number)) oldest = slot
    }
    this.slots[oldest] = hash
    this.slots[oldest + WAYS] = position
  }

  private slotOf(owner: number, key: string): number {
    const hash = routeHash(key)
    const bucket = this.bucketOf(hash)
    for (let slot = bucket; slot < bucket + WAYS; slot += 1) {
      if (this.slots[slot] === hash && this.isAt(this.slots[slot + WAYS] as number, owner, key)) {
        return slot
      }
    }
    return -1
  }

  /** The low bits say the shard: those of one child may all be alike. */
  private bucketOf(hash: number): number {
    return (hash >>> (32 - this.bucketBits)) * BUCKET_WORDS
  }

  private isAt(position: number, owner: number, key: string): boolean {
    if (position === 0 || this.head - position > this.unitsMax) return false
    const unit = position & (this.unitsMax - 1)
    const { words, halves } = this
    if (words[2 * unit + 4] !== owner || words[2 * unit + 5] !== key.length) return false
    const start = 4 * unit + HEADER_BYTES / 2
    for (let index = 0; index < key.length; index += 1) {
      if (halves[start + index] !== key.charCodeAt(index)) return false
    }
    return true
  }
}
