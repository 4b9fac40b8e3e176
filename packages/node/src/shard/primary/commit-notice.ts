/**
 * Sees to it that followers hear of a commit within a few milliseconds, also when no frame comes after
 * it that would carry it. One timer while there is something to tell, not one per frame.
 */
export const COMMIT_NOTICE_MS = 5

export class CommitNotice {
  private readonly tell: () => void
  private timer: NodeJS.Timeout | undefined
  private committedRevision = 0
  /** The commit revision that went out with a frame last. */
  private carriedRevision = 0
  private isOver = false

  constructor(tell: () => void) {
    this.tell = tell
  }

  /** A frame goes to all who are at the tail, and the commit revision with it. */
  onFrame(): void {
    this.carriedRevision = this.committedRevision
  }

  onCommit(revision: number, hasFollowers: boolean): void {
    this.committedRevision = revision
    if (hasFollowers && this.timer === undefined && !this.isOver) this.arm(revision)
  }

  /** Somebody has come to the tail, and may never have been told anything. */
  onFollower(): void {
    this.carriedRevision = 0
    this.onCommit(this.committedRevision, true)
  }

  private arm(dueRevision: number): void {
    this.timer = setTimeout(() => {
      this.timer = undefined
      if (this.carriedRevision < dueRevision) this.tell()
      else if (this.carriedRevision < this.committedRevision) this.arm(this.committedRevision)
    }, COMMIT_NOTICE_MS)
  }

  close(): void {
    this.isOver = true
    clearTimeout(this.timer)
    this.timer = undefined
  }
}
