/** Frames in order, with what they hold in memory. Pure. */
import type { LogFrame } from '../log/frame.js'
import { FRAME_HEADER_BYTES, lastRevisionOf } from '../log/frame.js'

/** Measured heap cost of a frame besides its bytes: the object and the view of its body. */
const FRAME_OVERHEAD_BYTES = 300
/** Slots of frames that were taken out are kept until there are so many. */
const TAKEN_MAX = 1_024

export class FrameQueue {
  private frames: LogFrame[] = []
  /** Slots before this one are empty: taking the first of many must not move the others. */
  private head = 0
  /** Headers and bodies. */
  bytes = 0

  get size(): number {
    return this.frames.length - this.head
  }

  get memoryBytes(): number {
    return this.bytes + this.size * FRAME_OVERHEAD_BYTES
  }

  get first(): LogFrame | undefined {
    return this.frames[this.head]
  }

  push(frame: LogFrame): void {
    this.frames.push(frame)
    this.bytes += bytesOf(frame)
  }

  shift(): LogFrame | undefined {
    const frame = this.first
    if (frame === undefined) return undefined
    this.bytes -= bytesOf(frame)
    this.head += 1
    if (this.head === this.frames.length || this.head >= TAKEN_MAX) {
      this.frames = this.frames.slice(this.head)
      this.head = 0
    }
    return frame
  }

  /** Drops the frames after a revision. */
  cutAfter(revision: number): void {
    while (this.size > 0 && lastRevisionOf(this.frames.at(-1)!) > revision) {
      this.bytes -= bytesOf(this.frames.pop()!)
    }
  }

  clear(): void {
    this.frames = []
    this.head = 0
    this.bytes = 0
  }
}

function bytesOf(frame: LogFrame): number {
  return FRAME_HEADER_BYTES + frame.body.length
}
