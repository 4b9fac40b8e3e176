/**
 * What may stand under one counter that has one writer: each acknowledged increment counts exactly
 * once, one whose outcome nobody knows at most once, a refused one never (P4).
 */
export class CountedKey {
  readonly key: string
  private acknowledged = 0
  private unknown = 0
  private last = 0

  constructor(key: string) {
    this.key = key
  }

  /** An increment by one was acknowledged with this result. */
  onAcknowledged(value: number): void {
    this.acknowledged += 1
    const wrong = value <= this.last ? `not above ${this.last}` : this.violation(value)
    if (wrong !== undefined) throw new Error(`${this.key}: incremented to ${value}: ${wrong}`)
    this.last = value
  }

  onUnknown(): void {
    this.unknown += 1
  }

  /** What is wrong with what stands there while nothing is being written. */
  violation(value: unknown): string | undefined {
    const count = (value ?? 0) as number
    const most = this.acknowledged + this.unknown
    if (count >= this.acknowledged && count <= most) return undefined
    return `${this.key}: ${String(value)} stands where ${this.acknowledged} to ${most} may`
  }
}
