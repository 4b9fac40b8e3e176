/** Lets what a connection is sent within one turn leave in one system call. */
import type { Connection } from './connection.js'

export class Corks {
  private corked: Connection[] = []
  private isUncorkDue = false

  /** Until `uncork`. */
  cork(connection: Connection): void {
    if (connection.isCorked) return
    connection.isCorked = true
    connection.socket.cork()
    this.corked.push(connection)
  }

  /** Until what runs now has ended: one read of a socket may bring thousands of small messages. */
  corkForTurn(connection: Connection): void {
    this.cork(connection)
    if (this.isUncorkDue) return
    this.isUncorkDue = true
    process.nextTick(() => {
      this.isUncorkDue = false
      this.uncork()
    })
  }

  uncork(): void {
    const { corked } = this
    if (corked.length === 0) return
    this.corked = []
    for (const connection of corked) {
      connection.isCorked = false
      connection.socket.uncork()
    }
  }
}
