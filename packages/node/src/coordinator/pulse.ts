/**
 * Decides when a child that does not answer pings is dead. Pure: turns and answers are told to it.
 *
 * A silent child and a coordinator that was itself away look the same from here: the answer may
 * lie unread in the pipe. So only turns of the coordinator that were on time, and at whose end the
 * queue of messages had been read, count as silence, and a child is missed only when two of them
 * in a row find the time-out exceeded (hard-parts 24).
 */

/** A turn later than this tells nothing about the children. */
const LATE_MS_MAX = 100

const MISSES_IN_A_ROW = 2

export interface PulseSettings {
  readonly intervalMs: number
  readonly timeoutMs: number
}

/** What to do after a turn. */
export interface PulseResult {
  readonly ping: readonly { readonly child: number; readonly nonce: number }[]
  readonly missed: readonly number[]
}

interface Listening {
  /** Nonce of the ping that is not answered yet; 0 if there is none. */
  unanswered: number
  /** Time since that ping, without what passed before turns that were late. */
  silentMs: number
  misses: number
}

export class Pulse {
  private readonly settings: PulseSettings
  private readonly children = new Map<number, Listening>()
  private lastTurnMs: number | undefined
  private nonce = 0

  constructor(settings: PulseSettings) {
    this.settings = settings
  }

  add(child: number): void {
    this.children.set(child, { unanswered: 0, silentMs: 0, misses: 0 })
  }

  remove(child: number): void {
    this.children.delete(child)
  }

  answered(child: number, nonce: number): void {
    const listening = this.children.get(child)
    if (listening?.unanswered === nonce) listening.unanswered = 0
  }

  /**
   * A turn that began at `beganMs` and, at `drainedMs`, has read every message that had arrived by
   * then. Both are monotonic.
   */
  turn(beganMs: number, drainedMs: number): PulseResult {
    const dueMs = (this.lastTurnMs ?? beganMs) + this.settings.intervalMs
    const isOnTime =
      this.lastTurnMs !== undefined &&
      beganMs - dueMs <= LATE_MS_MAX &&
      drainedMs - beganMs <= LATE_MS_MAX
    // As it passed, not as it was planned: timers on a busy machine are a little late every time.
    const passedMs = isOnTime ? beganMs - (this.lastTurnMs ?? beganMs) : 0
    this.lastTurnMs = beganMs
    const ping: { child: number; nonce: number }[] = []
    const missed: number[] = []
    for (const [child, listening] of this.children) {
      if (listening.unanswered === 0) {
        this.nonce += 1
        this.children.set(child, { unanswered: this.nonce, silentMs: 0, misses: 0 })
        ping.push({ child, nonce: this.nonce })
      } else if (this.isMissed(listening, passedMs)) missed.push(child)
    }
    return { ping, missed }
  }

  /** `passedMs` is 0 after a turn that was not on time. */
  private isMissed(listening: Listening, passedMs: number): boolean {
    if (passedMs === 0) {
      listening.misses = 0
      return false
    }
    listening.silentMs += passedMs
    if (listening.silentMs >= this.settings.timeoutMs) listening.misses += 1
    return listening.misses >= MISSES_IN_A_ROW
  }
}
