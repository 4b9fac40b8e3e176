/**
 * The record of the topology on one volume: writes it, and knows whether the volume can be relied on.
 *
 * A disk that fails or hangs must not stop a node that has others: a write that takes longer than
 * `VOLUME_SILENT_MS_MAX` counts as failed, and until it has ended no other is begun there, so that
 * what is written stays in order. Every later write tries again.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Disk } from './atomic-file.js'
import { replaceFile } from './atomic-file.js'

/** How long a write may take while other volumes have it (hard-parts 5). */
export const VOLUME_SILENT_MS_MAX = 2_000

export interface VolumeListener {
  /** The record on this volume is out of date: the write failed. Told once until it is well again. */
  onSuspect(volume: string, error: Error): void
  onWell(volume: string): void
}

export class VolumeRecord {
  private readonly disk: Disk
  private readonly volume: string
  private readonly path: string
  private readonly listener: VolumeListener
  private isBusy = false
  private isSuspect = false

  constructor(disk: Disk, volume: string, path: string, listener: VolumeListener) {
    this.disk = disk
    this.volume = volume
    this.path = path
    this.listener = listener
  }

  /** Resolves to the error if the text is not durable here. `isAlone`: nobody else has it. */
  async write(text: string, isAlone: boolean): Promise<Error | undefined> {
    if (this.isBusy) return new Error(`${this.volume} does not answer`)
    this.isBusy = true
    const writing = replaceFile(this.disk, this.path, text)
      .then(
        () => undefined,
        (error: unknown) => error as Error,
      )
      .finally(() => {
        this.isBusy = false
      })
    const failure = isAlone ? await writing : await Promise.race([writing, this.timeOut()])
    this.judge(failure)
    return failure
  }

  private async timeOut(): Promise<Error> {
    await delay(VOLUME_SILENT_MS_MAX, undefined, { ref: false })
    return new Error(`a write took longer than ${VOLUME_SILENT_MS_MAX} ms`)
  }

  private judge(failure: Error | undefined): void {
    if (failure === undefined) {
      if (this.isSuspect) this.listener.onWell(this.volume)
    } else if (!this.isSuspect) this.listener.onSuspect(this.volume, failure)
    this.isSuspect = failure !== undefined
  }
}
