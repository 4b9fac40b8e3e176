/**
 * Batches that went through the coordinator, and again past it when that became possible. The
 * coordinator counts them until it has answered, though nobody waits for that: who sent it more than
 * it takes meanwhile would be refused as OVERLOADED.
 */
import type { NodeMessage } from '@kv/protocol'

/** A batch that was sent. */
export interface SentBatch {
  readonly id: number
  readonly messageBytes: number
}

export class LeftBehind {
  private readonly byId = new Map<number, number>()
  private total = 0

  get bytes(): number {
    return this.total
  }

  add(batches: readonly SentBatch[]): void {
    for (const { id, messageBytes } of batches) {
      this.byId.set(id, messageBytes)
      this.total += messageBytes
    }
  }

  onMessage(message: NodeMessage): void {
    if (this.total === 0) return
    const isLast = message.type === 'refused' || (message.type === 'reply' && message.final)
    if (!isLast) return
    this.total -= this.byId.get(message.batchId) ?? 0
    this.byId.delete(message.batchId)
  }

  /** There is another connection to the coordinator: of the former one, nothing counts. */
  clear(): void {
    this.byId.clear()
    this.total = 0
  }
}
