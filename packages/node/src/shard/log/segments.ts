/**
 * The segments of an open log, oldest first, the last one active. Readers ask it where to read and
 * how far; it drops segments from the old end.
 */
import { LogTrimmed } from './errors.js'
import type { LogFileSystem } from './file-system.js'
import type { DurableEnd, ReaderSource } from './reader.js'
import type { ActiveSegment, Segment } from './segment.js'

export class Segments implements ReaderSource {
  readonly files: LogFileSystem
  readonly #directory: string
  /** Full segments. Ordinals rise by one from each to the next and on to the active one. */
  readonly #complete: Segment[]
  #active: ActiveSegment

  constructor(
    files: LogFileSystem,
    directory: string,
    complete: readonly Segment[],
    active: ActiveSegment,
  ) {
    this.files = files
    this.#directory = directory
    this.#complete = [...complete]
    this.#active = active
  }

  get active(): ActiveSegment {
    return this.#active
  }

  get firstRevision(): number {
    return (this.#complete[0] ?? this.#active.segment).previous.revision + 1
  }

  get bytesOnDisk(): number {
    return this.#complete.reduce(
      (sum, segment) => sum + segment.capacityBytes,
      this.#active.segment.capacityBytes,
    )
  }

  /** Resolves when readers of the files find every durable frame there. */
  async writeOut(segment: Segment, endBytes: number): Promise<void> {
    const active = this.#active
    if (segment === active.segment && !active.holds(endBytes)) await active.writeOut()
  }

  /** Appends go on in `next`. A segment without frames is not kept: `next` has taken its name. */
  roll(next: ActiveSegment): void {
    if (!this.#active.isEmpty) this.#complete.push(this.#active.segment)
    this.#active = next
  }

  segmentFor(revision: number): Segment | undefined {
    const active = this.#active.segment
    if (active.previous.revision < revision) return active
    return this.#complete.findLast((segment) => segment.previous.revision < revision)
  }

  durableEnd(segment: Segment): DurableEnd {
    if (segment === this.#active.segment) return { kind: 'bytes', bytes: this.#active.endBytes }
    const next = this.#withOrdinal(segment.ordinal + 1)
    // Both are gone: a reader that far behind is told so rather than left on unlinked files.
    if (next === undefined) throw new LogTrimmed(segment.previous.revision + 1, this.firstRevision)
    return { kind: 'position', position: next.previous }
  }

  /**
   * Removes the segments whose every revision is below `revision`, oldest first, each removal durable
   * before the next: whatever a crash leaves, no segment is missing between two others.
   */
  async dropBefore(revision: number): Promise<void> {
    for (;;) {
      const oldest = this.#complete[0]
      const next = this.#complete[1] ?? this.#active.segment
      if (oldest === undefined || next.previous.revision >= revision) return
      this.#complete.shift()
      try {
        await this.files.unlink(oldest.path)
      } catch (error) {
        this.#complete.unshift(oldest)
        throw error
      }
      await this.files.syncDirectory(this.#directory)
    }
  }

  #withOrdinal(ordinal: number): Segment | undefined {
    const active = this.#active.segment
    if (active.ordinal === ordinal) return active
    const first = this.#complete[0]
    return first === undefined ? undefined : this.#complete[ordinal - first.ordinal]
  }
}
