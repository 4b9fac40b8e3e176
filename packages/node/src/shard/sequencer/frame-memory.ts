/**
 * Memory for the frames of one shard. A frame gathers in memory that is used again and again, and is
 * moved when it is complete, exactly as long as it is, into a slab with those before it: its values
 * live there until they are in the stored state. A frame in memory of its own would hold more than it
 * needs, and so many pieces of memory outside the heap would set off collections of all of it.
 */
import { WireWriter } from '@kv/protocol'
import { FRAME_HEADER_BYTES } from '../log/frame.js'
import { FrameSlab } from '../log/frame-slab.js'

const GATHER_BYTES_MIN = 4_096
/** Memory to gather in that has grown beyond this is let go. */
const GATHER_BYTES_MAX = 524_288

export class FrameMemory {
  private readonly slab = new FrameSlab()
  private spare: Uint8Array | undefined

  /** For a new group, with headroom for the header of its frame. */
  writer(): WireWriter {
    const { spare } = this
    this.spare = undefined
    return new WireWriter(spare ?? GATHER_BYTES_MIN, FRAME_HEADER_BYTES)
  }

  /** The frame is complete: nothing more is written to it. Returns its bytes. */
  seal(writer: WireWriter): Buffer {
    const frame = this.slab.take(writer.position)
    const former = writer.moveTo(frame)
    if (former.length <= GATHER_BYTES_MAX) this.spare = former
    return frame
  }
}
