/**
 * Prepares the file of the next segment in the background, while the current one fills.
 *
 *   idle ──begin──▶ preparing ──▶ ready ──take──▶ idle
 *                     ▲   │
 *               retry └─ failed          any ──stop──▶ stopped
 *
 * A failure loses nothing: the current segment goes on until it is full. Preparation is tried again
 * after a growing, bounded delay, and `onRoom` is called when it works again.
 */
import { LogFailed, LogNoRoom } from './errors.js'
import type { LogFileSystem } from './file-system.js'
import { removeLeftover, temporaryPath, writeFullSize, type PreparedFile } from './segment.js'

/** Runs `action` once after the delay, unless the returned function is called first. */
export type Schedule = (action: () => void, delayMs: number) => () => void

export const RETRY_DELAY_MIN_MS = 100
export const RETRY_DELAY_MAX_MS = 10_000

export interface NextSegmentOptions {
  readonly files: LogFileSystem
  readonly directory: string
  readonly schedule: Schedule
  readonly onRoom: () => void
}

const NO_BYTES = Buffer.alloc(0)

type State =
  | { readonly kind: 'idle' }
  | { readonly kind: 'preparing'; readonly capacityBytes: number; readonly done: Promise<void> }
  | { readonly kind: 'ready'; readonly prepared: PreparedFile }
  | { readonly kind: 'failed'; readonly cancelRetry: () => void }
  | { readonly kind: 'stopped' }

export class NextSegment {
  readonly #options: NextSegmentOptions
  #state: State = { kind: 'idle' }
  /** Why the newest attempt failed; kept while the next one runs, cleared when one succeeds. */
  #error: Error | undefined
  #failures = 0

  constructor(options: NextSegmentOptions) {
    this.#options = options
  }

  get error(): Error | undefined {
    return this.#error
  }

  get bytesOnDisk(): number {
    if (this.#state.kind === 'ready') return this.#state.prepared.capacityBytes
    return this.#state.kind === 'preparing' ? this.#state.capacityBytes : 0
  }

  /** Starts unless a file is there, under way, or waiting for its next attempt. */
  begin(capacityBytes: number): void {
    if (this.#state.kind === 'idle') this.#becomePreparing(capacityBytes)
  }

  /** Hands over a file of at least this capacity, waiting for it to be prepared if need be. */
  async take(capacityBytes: number): Promise<PreparedFile> {
    for (;;) {
      const state = this.#state
      switch (state.kind) {
        case 'idle':
          this.#becomePreparing(capacityBytes)
          break
        case 'preparing':
          await state.done
          break
        case 'ready':
          this.#state = { kind: 'idle' }
          if (state.prepared.capacityBytes >= capacityBytes) return state.prepared
          await this.#discard(state.prepared)
          break
        case 'failed':
          throw new LogNoRoom('The next segment of the log could not be prepared.', {
            cause: this.#error,
          })
        case 'stopped':
          throw new LogFailed('The log is closed.')
      }
    }
  }

  /** Gives up what is prepared. Resolves when a preparation under way has ended as well. */
  async stop(): Promise<void> {
    const state = this.#state
    this.#state = { kind: 'stopped' }
    if (state.kind === 'failed') state.cancelRetry()
    if (state.kind === 'preparing') await state.done
    if (state.kind === 'ready') await this.#discard(state.prepared)
  }

  #becomePreparing(capacityBytes: number): void {
    const done = this.#prepare(capacityBytes).then(
      (prepared) => this.#becomeReady(prepared),
      (error: unknown) => this.#becomeFailed(error, capacityBytes),
    )
    this.#state = { kind: 'preparing', capacityBytes, done }
  }

  async #becomeReady(prepared: PreparedFile): Promise<void> {
    if (this.#state.kind === 'stopped') return this.#discard(prepared)
    this.#state = { kind: 'ready', prepared }
    const hadFailed = this.#error !== undefined
    this.#error = undefined
    this.#failures = 0
    if (hadFailed) this.#options.onRoom()
  }

  #becomeFailed(error: unknown, capacityBytes: number): void {
    if (this.#state.kind === 'stopped') return
    this.#error = error instanceof Error ? error : new Error(String(error))
    const delayMs = Math.min(RETRY_DELAY_MIN_MS * 2 ** this.#failures, RETRY_DELAY_MAX_MS)
    this.#failures += 1
    const cancelRetry = this.#options.schedule(() => this.#becomePreparing(capacityBytes), delayMs)
    this.#state = { kind: 'failed', cancelRetry }
  }

  async #prepare(capacityBytes: number): Promise<PreparedFile> {
    const { files, directory } = this.#options
    const path = temporaryPath(directory)
    await writeFullSize(files, path, NO_BYTES, capacityBytes)
    try {
      return { path, file: await files.open(path, 'durable'), capacityBytes }
    } catch (error) {
      await removeLeftover(files, path)
      throw error
    }
  }

  /** Never rejects: what stays behind is removed by the next opening. */
  async #discard(prepared: PreparedFile): Promise<void> {
    await removeLeftover(this.#options.files, prepared.path)
    await prepared.file.close().catch(() => undefined)
  }
}
