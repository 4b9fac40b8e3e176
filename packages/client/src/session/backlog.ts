/**
 * How much the client holds that it has not sent: what may grow while there is no connection, no
 * primary for a shard, or a node slower than the program. It has limits, so the program is told
 * (`OVERLOADED`) and its memory stays bounded. Pure.
 */
export class Backlog {
  private bytes = 0
  private calls = 0
  private readonly bytesMax: number
  private readonly callsMax: number

  constructor(bytesMax: number, callsMax: number) {
    this.bytesMax = bytesMax
    this.callsMax = callsMax
  }

  get isFull(): boolean {
    return this.bytes >= this.bytesMax || this.calls >= this.callsMax
  }

  add(calls: number, bytes: number): void {
    this.calls += calls
    this.bytes += bytes
  }

  remove(calls: number, bytes: number): void {
    this.calls -= calls
    this.bytes -= bytes
  }
}
