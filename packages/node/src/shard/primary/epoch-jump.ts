/**
 * The jump with which an epoch begins where a log may have lost what was acknowledged (`fsync:
 * 'everysec'`): the revisions that were given to what is lost are never given again, so that a version
 * names one value for ever (ADR 0030).
 *
 * Whether anything was lost can't be told from what is left. So every epoch of such a node begins with a
 * jump, and nothing has to be known of power cuts.
 */
import type { FrameMeta } from '../log/frame.js'
import type { AppendOptions } from '../log/log.js'

/**
 * More revisions than can be lost: what is unsynced is in one file of a journal and in the frame being
 * written, less than 2^24 bytes together, and an entry has some. 2^29 epochs fit below 2^53.
 */
export const EPOCH_JUMP: number = 2 ** 24

interface AppendableLog {
  append(
    buffer: Buffer,
    bodyBytes: number,
    meta: FrameMeta,
    options?: Pick<AppendOptions, 'jump'>,
  ): Promise<void>
  hasRoomFor(bodyBytes: number): boolean
  readonly spaceError: Error | undefined
}

/** What an epoch appends to, and the revision before its first. */
export function logOfEpoch<Appendable extends AppendableLog>(
  { jumps = false }: { readonly jumps?: boolean },
  log: Appendable,
  inherited: { readonly lastRevision: number },
): { readonly log: Appendable | JumpingLog; readonly lastRevision: number } {
  if (!jumps) return { log, lastRevision: inherited.lastRevision }
  const lastRevision = inherited.lastRevision + EPOCH_JUMP
  return { log: new JumpingLog(log, lastRevision + 1), lastRevision }
}

/** The log of an epoch whose first frame says that it leaves revisions out. */
class JumpingLog {
  private readonly log: AppendableLog
  private readonly firstRevision: number

  /** `firstRevision` is that of the epoch. */
  constructor(log: AppendableLog, firstRevision: number) {
    this.log = log
    this.firstRevision = firstRevision
  }

  append(buffer: Buffer, bodyBytes: number, meta: FrameMeta): Promise<void> {
    const jump = meta.firstRevision === this.firstRevision
    return this.log.append(buffer, bodyBytes, meta, { jump })
  }

  hasRoomFor(bodyBytes: number): boolean {
    return this.log.hasRoomFor(bodyBytes)
  }

  get spaceError(): Error | undefined {
    return this.log.spaceError
  }
}
