/**
 * By which way the writes of each client come, now that there are two: through the coordinator, and
 * straight here (ADR 0025).
 *
 * A client that changes its way sends again what is unanswered, and what the former way still holds
 * must not be executed after that: a write that found nothing to do has left no trace by which it would
 * be known again. Batches of one client are numbered in the order it sent them, whatever their way, so
 * a batch that comes by another way than the newest, and is older, is late.
 */

/** Clients that are remembered; who has written nothing for longest is forgotten first. */
export const CLIENTS_MAX = 65_536
/** From so many on the order is kept in which they wrote last: until then it costs nothing. */
const ORDERED_FROM = CLIENTS_MAX / 2

interface Newest {
  way: object
  batchId: number
}

export class Ways {
  private readonly newest = new Map<number, Newest>()

  /** Whether writes that came by this way may be executed. */
  admits(clientId: number, way: object, batchId: number): boolean {
    const known = this.newest.get(clientId)
    if (known === undefined) {
      this.remember(clientId, { way, batchId })
      return true
    }
    if (known.way !== way) {
      if (batchId < known.batchId) return false
      known.way = way
    }
    if (batchId > known.batchId) known.batchId = batchId
    if (this.newest.size >= ORDERED_FROM) {
      this.newest.delete(clientId)
      this.newest.set(clientId, known)
    }
    return true
  }

  private remember(clientId: number, newest: Newest): void {
    this.newest.set(clientId, newest)
    if (this.newest.size <= CLIENTS_MAX) return
    for (const oldest of this.newest.keys()) {
      this.newest.delete(oldest)
      return
    }
  }
}
