/**
 * The overlay: the newest committed entry of every key that is not in the stored state yet.
 *
 * Two generations at most: the active one takes what commits, the frozen one is being applied.
 * Only committed writes come in, so the tail of a log can be cut without undoing anything here.
 */
import { Generation } from './generation.js'
import type { Held } from '../held.js'

export class Overlay {
  private active = new Generation()
  private frozen: Generation | undefined

  /** Heap and frame bytes that live on because of the overlay. */
  get bytes(): number {
    return this.active.bytes + (this.frozen?.bytes ?? 0)
  }

  /** Keys with an entry here; one in both generations counts twice. */
  get size(): number {
    return this.active.size + (this.frozen?.size ?? 0)
  }

  get isEmpty(): boolean {
    return this.active.size === 0 && this.frozen === undefined
  }

  get isApplying(): boolean {
    return this.frozen !== undefined
  }

  /** Bytes of the generation that is to be applied next: a frozen one before the active one. */
  get applicableBytes(): number {
    return (this.frozen ?? this.active).bytes
  }

  get(key: string): Held | undefined {
    return this.active.get(key) ?? this.frozen?.get(key)
  }

  put(key: string, held: Held): void {
    this.active.put(key, held)
  }

  /** A frame of `frameBytes` that holds the values of `put` entries has committed. */
  committed(lastRevision: number, frameBytes: number): void {
    this.active.lastRevision = lastRevision
    this.active.bytes += frameBytes
  }

  /** No entry here ends before and waits to be removed. */
  get earliestEndMs(): number {
    return Math.min(this.active.earliestEndMs, this.frozen?.earliestEndMs ?? Infinity)
  }

  /** Generations from the newest to the oldest. */
  get generations(): readonly Generation[] {
    return this.frozen === undefined ? [this.active] : [this.active, this.frozen]
  }

  /** Begins a new active generation; the former one is handed out to be applied. */
  freeze(): Generation {
    if (this.frozen !== undefined) throw new Error('the overlay has a frozen generation already')
    this.frozen = this.active
    this.active = new Generation()
    this.active.lastRevision = this.frozen.lastRevision
    return this.frozen
  }

  /** The frozen generation is in the stored state and visible there. */
  dropFrozen(): void {
    this.frozen = undefined
  }
}
