/**
 * Memory for frames that live until they are in the stored state, cut from pieces of 64 KiB: many
 * pieces of memory outside the heap would set off collections of all of it.
 */

/** Small, because a slab lives for as long as any frame in it. */
const SLAB_BYTES = 65_536

export class FrameSlab {
  private slab: Buffer = Buffer.alloc(0)
  private usedBytes = 0

  /** Memory that nobody else is given, with whatever it held before. */
  take(bytes: number): Buffer {
    if (2 * bytes > SLAB_BYTES) return Buffer.allocUnsafeSlow(bytes)
    if (this.usedBytes + bytes > this.slab.length) {
      this.slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
      this.usedBytes = 0
    }
    const start = this.usedBytes
    this.usedBytes += bytes
    return this.slab.subarray(start, this.usedBytes)
  }
}
