/**
 * What the check of one copy keeps of its log, to be compared with the logs of other copies.
 */
import type { LogFrame } from '../log/frame.js'
import type { LogPosition } from '../log/position.js'
import { positionAfter } from '../log/position.js'

export class Trace {
  /** Where each frame ends, the oldest first. */
  readonly frames: LogPosition[] = []
  /** By key: the last revision that the log changes it in. */
  readonly changed: Map<string, number> = new Map()

  onFrame(frame: LogFrame): void {
    this.frames.push(positionAfter(frame))
  }

  onEffect(key: string, revision: number): void {
    this.changed.set(key, revision)
  }
}
