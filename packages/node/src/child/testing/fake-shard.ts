/** A shard that answers at once, for tests of what stands in front of it. */
import type { Call } from '@kv/protocol'
import type { WireWriter } from '@kv/protocol'
import type { Origin } from '../../shard/sequencer/sequencer.js'
import type { Shard } from '../../shard/shard.js'

/** Keys `large …` hold a value of this size, every other key its own name. */
export const LARGE_BYTES = 300_000

export class FakeShard {
  readonly id = 1
  /** What it was asked, in order: `type key`, and the sequence number of a write. */
  readonly asked: string[] = []
  readonly times: number[] = []
  flushes = 0
  /** Steps of sorting left. */
  unsorted = 0
  error: Error | undefined
  /** Keys that a scan or a count looks at. */
  keysExamined = 1
  private revision = 0

  /** For where a shard is asked for. */
  get asShard(): Shard {
    return this as unknown as Shard
  }

  sortSome(): boolean {
    this.unsorted = Math.max(this.unsorted - 1, 0)
    return this.unsorted > 0
  }

  read(call: Call, nowMs: number, writer: WireWriter): number {
    this.take(call, nowMs)
    const key = 'key' in call ? call.key : call.type
    writer.binary(Buffer.from(key.startsWith('large') ? 'x'.repeat(LARGE_BYTES) : key))
    if (this.error !== undefined) throw this.error
    return call.type === 'scan' || call.type === 'count' ? this.keysExamined : 1
  }

  submit(call: Call, origin: Origin): void {
    this.take(call, origin.nowMs, origin.sequence)
    if (this.error !== undefined) throw this.error
    this.revision += 1
    origin.answers.answer(origin.position, this.revision)
  }

  readInOrder(call: Call, origin: Origin): void {
    this.take(call, origin.nowMs)
    origin.answers.answer(origin.position, true)
  }

  flush(): void {
    this.flushes += 1
  }

  private take(call: Call, nowMs: number, sequence?: number): void {
    const name = 'key' in call ? `${call.type} ${call.key}` : call.type
    this.asked.push(sequence === undefined ? name : `${sequence} ${name}`)
    this.times.push(nowMs)
  }
}

/** Resolves when the condition holds, looked at after each turn. */
export async function until(condition: () => boolean): Promise<void> {
  do await new Promise((resolve) => void setImmediate(resolve))
  while (!condition())
}
