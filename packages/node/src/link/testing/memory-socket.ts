import { Duplex } from 'node:stream'

/** Keeps what is written to it; what the other end sends is handed in as chunks. */
export class MemorySocket extends Duplex {
  /** What left at once, by call to the system. */
  readonly writes: Buffer[][] = []

  override _read(): void {}

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this.writes.push(chunks.map(({ chunk }) => chunk))
    done()
  }

  bytes(): Buffer {
    return Buffer.concat(this.writes.flat())
  }

  /** Hands bytes in, cut into chunks of these sizes, again and again. */
  receive(bytes: Buffer, sizes: readonly number[]): void {
    let start = 0
    for (let index = 0; start < bytes.length; index += 1) {
      const size = Math.max(1, sizes[index % sizes.length] ?? bytes.length)
      this.emit('data', bytes.subarray(start, start + size))
      start += size
    }
  }
}

/** After what this turn has written has left. */
export function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}
