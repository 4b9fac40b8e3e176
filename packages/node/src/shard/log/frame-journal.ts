/**
 * What a log needs of a journal: a place where frames of many logs become durable with one sync,
 * before each is in the segment it belongs to. After an unclean end, the owner of the log brings
 * into the segments what the journal holds, and only then opens the log.
 */
export interface FrameJournal {
  /**
   * Resolves when `buffer[0, frameBytes)` is durable, with the place it belongs to: its offset in
   * the segment that begins with `firstRevision` and has this salt.
   */
  append(
    firstRevision: number,
    salt: number,
    offset: number,
    buffer: Buffer,
    frameBytes: number,
  ): Promise<void>
  /** An append of this log takes too long: whoever opens a log from now on is to use another journal. */
  abandon(cause: Error): void
  /** Every frame is in its segment and the clean close is recorded: the journal may forget the log. */
  release(): Promise<void>
}
