/**
 * The newest changes of a shard, for watches that go on from where they were. Bounded: what is older
 * is forgotten, and a watch that would need it is told so.
 */
import type { Stored } from './memory-shard.js'

const CHANGES_MAX = 4_096
const BYTES_MAX = 4_194_304

/** One change of one key. */
export type Change =
  | { readonly type: 'set'; readonly key: string; readonly stored: Stored }
  | { readonly type: 'delete' | 'expire'; readonly key: string }

export interface Happened {
  readonly revision: number
  /** Counts the changes of one revision from 0. */
  readonly index: number
  readonly change: Change
}

export class History {
  private happened: Happened[] = []
  private bytes = 0
  /** Of this revision, and of those before it, something is forgotten. */
  private forgottenRevision = 0

  add(revision: number, changes: readonly Change[]): void {
    for (const [index, change] of changes.entries()) {
      this.happened.push({ revision, index, change })
      this.bytes += bytesOf(change)
    }
    if (this.happened.length > CHANGES_MAX || this.bytes > BYTES_MAX) this.forgetHalf()
  }

  /** By half, so that forgetting costs each change the same. */
  private forgetHalf(): void {
    const forgotten = this.happened.splice(0, Math.ceil(this.happened.length / 2))
    this.forgottenRevision = forgotten.at(-1)?.revision ?? this.forgottenRevision
    for (const { change } of forgotten) this.bytes -= bytesOf(change)
  }

  /** Whether everything from this revision on is known. */
  reaches(revision: number): boolean {
    return revision > this.forgottenRevision
  }

  /** What happened from this revision on, in order. */
  *from(revision: number): Generator<Happened, undefined> {
    let low = 0
    let high = this.happened.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.happened[middle]!.revision < revision) low = middle + 1
      else high = middle
    }
    for (let at = low; at < this.happened.length; at += 1) yield this.happened[at]!
    return undefined
  }
}

function bytesOf(change: Change): number {
  return change.key.length + (change.type === 'set' ? change.stored.bytes.length : 0)
}
