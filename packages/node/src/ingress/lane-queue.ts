/**
 * Batches that wait until a child's socket takes more, in fair shares of connections (P7).
 *
 * The socket is a line in which nobody is overtaken: behind what a hundred connections may have unanswered
 * together, one small batch more would wait for all of it. So little is in the socket, and the rest here.
 * Each batch has a start, the end of the one before of its connection or the present, and an end, later by its
 * bytes. The earliest end is next; within a connection the order stays.
 */
import type { Batch } from '@kv/protocol'
import TinyQueue from 'tinyqueue'
import type { Connection } from './connection.js'
import { BATCH_OVERHEAD_BYTES } from './connection.js'

/** What one connection has waiting; its first one has a place. */
interface Line {
  readonly connection: Connection
  readonly batches: Batch[]
  /** How many of them are gone. */
  taken: number
  start: number
  end: number
  /** Of two that end together, the one that came first. */
  order: number
}

export interface Waiting {
  readonly connection: Connection
  readonly batch: Batch
}

/** Batches that are gone, and places of connections that are, are let go of once there are so many. */
const GONE_MAX = 1_024

export class LaneQueue {
  /** By number of the connection. */
  private readonly lines = new Map<number, Line>()
  private places = new TinyQueue<Line>([], byEnd)
  private present = 0
  private asked = 0

  get isWaiting(): boolean {
    return this.lines.size > 0
  }

  add(connection: Connection, batch: Batch): void {
    const known = this.lines.get(connection.number)
    if (known !== undefined) {
      known.batches.push(batch)
      return
    }
    const start = this.present
    const line = { connection, batches: [batch], taken: 0, start, end: start, order: 0 }
    this.lines.set(connection.number, line)
    this.enter(line, start)
  }

  /** Whose turn it is. */
  take(): Waiting | undefined {
    for (;;) {
      const line = this.places.pop()
      if (line === undefined) return undefined
      const { connection } = line
      // Forgotten meanwhile, and perhaps come again.
      if (this.lines.get(connection.number) !== line) continue
      this.present = Math.max(this.present, line.start)
      const batch = line.batches[line.taken] as Batch
      line.taken += 1
      if (line.taken === line.batches.length) this.lines.delete(connection.number)
      else {
        if (line.taken === GONE_MAX) line.batches.splice(0, line.taken)
        line.taken %= GONE_MAX
        this.enter(line, line.end)
      }
      return { connection, batch }
    }
  }

  /** The connection is over: what it has waiting is not handed over any more. */
  forget(connection: number): void {
    const line = this.lines.get(connection)
    if (line === undefined) return
    this.lines.delete(connection)
    line.batches.length = 0
    if (this.places.length <= this.lines.size + GONE_MAX) return
    this.places = new TinyQueue<Line>([...this.lines.values()], byEnd)
  }

  private enter(line: Line, start: number): void {
    const { body } = line.batches[line.taken] as Batch
    this.asked += 1
    line.start = start
    line.end = start + body.length + BATCH_OVERHEAD_BYTES
    line.order = this.asked
    this.places.push(line)
  }
}

/** The earliest end first. */
function byEnd(one: Line, other: Line): number {
  return one.end - other.end || one.order - other.order
}
