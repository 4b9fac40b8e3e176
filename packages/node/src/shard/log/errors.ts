/**
 * What can go wrong with a log, one class per thing the owner must do about it:
 *
 * - `LogDamage`: what is on disk contradicts itself. Stop the replica, rebuild it from another copy.
 * - `LogRefused`: the files are whole but not ours to open. Nothing was changed; tell the operator.
 * - `LogFailed`: an append failed or the log was given up or closed. Open the directory again.
 * - `LogNoRoom`: the disk is full and nothing was written. The same frame may be appended later.
 * - `LogTrimmed`: a reader asked for revisions that were dropped. Send a snapshot instead.
 * - `LogMisuse`: a bug in the caller. Nothing was written.
 */

/** Every way in which a log can be damaged. Operators see the sentence, code sees the key. */
export const DAMAGE = {
  'no-segments': 'the directory holds no segment',
  'wrong-size': 'the file does not have the size it was made with',
  'bad-segment-header': 'the segment header is not readable',
  'misnamed-segment': 'the file is named after another revision than its header',
  'missing-segment': 'the segment does not follow the segment before it',
  'starts-late': 'the log begins after the revision from which it is needed',
  'ends-early': 'the log ends before the revision that the state has applied',
  'bad-frame': 'a frame is not readable although valid frames follow it',
  'bad-frame-in-closed-segment': 'bytes that are no frame lie in a segment that was complete',
  'broken-chain': 'the frame does not carry the checksum of the frame before it',
  'revision-gap': 'revisions are missing before the frame',
  'revision-repeated': 'the frame repeats revisions that were already there',
  'older-epoch': 'the frame is of an older epoch than the frame before it',
  'wrong-jump': 'the frame says that it begins with a jump, but it does not',
  'unknown-flags': 'the frame carries flags that this version does not know',
  'wrong-end': 'the segment ends elsewhere than recorded',
  'missing-journal': 'the journal that may hold the newest frames of the log is not there',
  'bad-journal-block': 'a block of the journal is not readable although valid blocks follow it',
  'bad-journal-frame': 'the frame that belongs here is not readable in the journal that holds it',
  'bad-closing-mark': 'the record of the clean close is not readable',
} as const

export type DamageCase = keyof typeof DAMAGE

export class LogDamage extends Error {
  override readonly name = 'LogDamage'
  readonly damage: DamageCase
  readonly file: string
  readonly offsetBytes: number

  constructor(damage: DamageCase, file: string, offsetBytes: number) {
    super(`Log damage (${damage}) in ${file} at byte ${offsetBytes}: ${DAMAGE[damage]}.`)
    this.damage = damage
    this.file = file
    this.offsetBytes = offsetBytes
  }
}

export type RefusalReason =
  | 'already-exists'
  | 'unknown-version'
  | 'unknown-features'
  | 'other-cluster'
  | 'other-shard'
  | 'cut-out-of-range'

export class LogRefused extends Error {
  override readonly name = 'LogRefused'
  readonly reason: RefusalReason

  constructor(reason: RefusalReason, message: string) {
    super(message)
    this.reason = reason
  }
}

export class LogFailed extends Error {
  override readonly name = 'LogFailed'
}

export class LogNoRoom extends Error {
  override readonly name = 'LogNoRoom'
}

export class LogTrimmed extends Error {
  override readonly name = 'LogTrimmed'
  readonly firstRevision: number

  constructor(revision: number, firstRevision: number) {
    super(`Revision ${revision} was dropped from the log, which begins at ${firstRevision}.`)
    this.firstRevision = firstRevision
  }
}

export class LogMisuse extends Error {
  override readonly name = 'LogMisuse'
}
