/**
 * What may stand under one key that has one writer: every write has a number of its own, and a later
 * one a larger.
 *
 * P1: the last acknowledged write stands, or a later one whose outcome nobody knows. One that was
 * refused as not applied never stands. P3: what was read once does not go back.
 */
export class AcknowledgedKey {
  readonly key: string
  /** Of the last write that was made. */
  private issued = 0
  private acknowledged = 0
  /** Later than the acknowledged one, and maybe applied. */
  private unknown = new Set<number>()
  private newestSeen = 0

  constructor(key: string) {
    this.key = key
  }

  get acknowledgedCount(): number {
    return this.acknowledged
  }

  /** The value of the next write. */
  issue(): number {
    this.issued += 1
    return this.issued
  }

  onAcknowledged(value: number): void {
    this.acknowledged = value
    this.unknown = new Set([...this.unknown].filter((other) => other > value))
  }

  onUnknown(value: number): void {
    if (value > this.acknowledged) this.unknown.add(value)
  }

  /** What any read that begins now has to return at least. */
  get floor(): number {
    return Math.max(this.acknowledged, this.newestSeen)
  }

  /** A read that began when `floor` held has returned `value`. */
  onRead(value: unknown, floor: number): void {
    const found = value === undefined ? 0 : value
    if (typeof found !== 'number' || found < floor || found > this.issued) {
      throw new Error(`${this.key}: ${String(value)} was read where ${floor} stood already`)
    }
    this.newestSeen = Math.max(this.newestSeen, found)
  }

  /** What is wrong with what stands there while nothing is being written. */
  violation(value: unknown): string | undefined {
    const found = value ?? 0
    const allowed = [this.acknowledged, ...this.unknown].filter((other) => other >= this.floor)
    if (allowed.some((other) => other === found)) return undefined
    return `${this.key}: ${String(value)} stands where only ${allowed.join(' or ')} may`
  }
}
