/**
 * Memory for the frames of one shard. A frame gathers in memory that is used again and again, and is
 * moved when it is complete, exactly as long as it is, into a slab with those before it: its values
 * live there until they are in the stored state. A frame in memory of its own would hold more than it
 * needs, and so many pieces of memory outside the heap would set off collections of all of it.
 */
import { WireWriter } from '@kv/protocol'
import { FRAME_HEADER_BYTES } from '../log/frame.js'

/** Small, because a slab lives for as long as any frame in it. */
const SLAB_BYTES = 65_536
const GATHER_BYTES_MIN = 4_096
/** Memory to gather in that has grown beyond this is let go. */
const GATHER_BYTES_MAX = 524_288

export class FrameMemory {
  private slab: Buffer = Buffer.alloc(0)
  private usedBytes = 0
  private spare: Uint8Array | undefined

  /** For a new group, with headroom for the header of its frame. */
  writer(): WireWriter {
    const { spare } = this
    this.spare = undefined
    return new WireWriter(spare ?? GATHER_BYTES_MIN, FRAME_HEADER_BYTES)
  }

  /** The frame is complete: nothing more is written to it. Returns its bytes. */
  seal(writer: WireWriter): Buffer {
    const frame = this.take(writer.position)
    const former = writer.moveTo(frame)
    if (former.length <= GATHER_BYTES_MAX) this.spare = former
    return frame
  }

  private take(bytes: number): Buffer {
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
