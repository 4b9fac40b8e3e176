/**
 * What a log needs of a journal: a place where frames of many logs become durable with one sync,
 * before each is in the segment it belongs to. After an unclean end, the log is opened with what the
 * journal holds of it.
 */
export interface FrameJournal {
  /**
   * Names the journal in the log's directory, where `names` are, in place of whatever the log was
   * bound to before: every frame is in its segment. The caller syncs the directory.
   */
  bind(names: readonly string[]): Promise<void>
  /**
   * Resolves when `buffer[0, frameBytes)` is durable, or will be after a `sync`, with the place it belongs to: its offset in
   * the segment that begins with `firstRevision` and has this salt.
   */
  append(
    firstRevision: number,
    salt: number,
    offset: number,
    buffer: Buffer,
    frameBytes: number,
  ): Promise<void>
  /**
   * Resolves when every frame appended before the call is durable, `undefined` if each is when its
   * append resolves. Rejects if that can't be known any more: the log must be opened again.
   */
  sync(): Promise<void> | undefined
  /** An append of this log takes too long: whoever opens a log from now on is to use another journal. */
  abandon(cause: Error): void
  /** Every frame is in its segment and the clean close is recorded: the journal may forget the log. */
  release(): Promise<void>
}

/** A frame as a journal holds it, and where it belongs. */
export interface JournaledFrame {
  /** Of the segment. */
  readonly firstRevision: number
  readonly salt: number
  /** In the segment. */
  readonly offset: number
  readonly bytes: Buffer
}
