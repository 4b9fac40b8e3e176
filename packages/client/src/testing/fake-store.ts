/** Executes calls on a map, as a shard would, for the fake node. */
import type { AtomicCall, Call, CountCall, ClearCall, ScanCall } from '@kv/protocol'
import { compareKeys, keyAfter, shardOf, WireWriter } from '@kv/protocol'

interface Stored {
  bytes: Uint8Array
  version: number
  expiresAt: number
}

export class FakeStore {
  shardCount: number
  readonly entries = new Map<string, Stored>()
  /** Most items of a page and keys of a step, whatever is asked for. */
  stepMax = 1_000
  /** Items handed out by scans so far. */
  itemsScanned = 0
  /** Whether entries of failed checks are to be asked for. */
  leavesOutConflicts = false
  private revision = 0
  /** Sets that were executed. */
  setsExecuted = 0

  constructor(shardCount: number) {
    this.shardCount = shardCount
  }

  shardOfCall(call: Call): number {
    return 'shard' in call ? call.shard : shardOf(call.key, this.shardCount)
  }

  /** Executes the call and writes its answer. */
  execute(call: Call, answer: WireWriter): void {
    switch (call.type) {
      case 'get': {
        const stored = this.entries.get(call.key)
        if (stored === undefined) answer.nil()
        else answer.binary(stored.bytes)
        return
      }
      case 'entry':
        this.writeEntry(call.key, answer)
        return
      case 'has':
        answer.boolean(this.entries.has(call.key))
        return
      case 'scan':
        this.scan(call, answer)
        return
      case 'count':
      case 'clear':
        this.sweep(call, answer)
        return
      case 'set':
        this.set(call, answer)
        return
      case 'delete':
        answer.boolean(this.entries.delete(call.key))
        return
      case 'deleteIf':
        if (this.entries.get(call.key)?.version === call.version) {
          this.entries.delete(call.key)
          answer.boolean(true)
        } else {
          this.writeEntry(call.key, answer)
        }
        return
      case 'touch': {
        const stored = this.entries.get(call.key)
        if (stored !== undefined) stored.expiresAt = call.ttlMs ?? 0
        answer.boolean(stored !== undefined)
        return
      }
      case 'increment': {
        // Counts only: the value is a number of one byte.
        const value = (this.entries.get(call.key)?.bytes[0] ?? 0) + call.by
        this.revision += 1
        const expiresAt = call.ttlMs ?? 0
        this.entries.set(call.key, {
          bytes: Uint8Array.of(value),
          version: this.revision,
          expiresAt,
        })
        answer.array(3)
        answer.number(value)
        answer.integer(this.revision)
        answer.integer(expiresAt)
        return
      }
      case 'atomic':
        this.atomic(call, answer)
        return
      case 'lock':
      case 'unlock':
        throw new Error(`the fake store has no ${call.type}`)
    }
  }

  /** Not all or nothing if an operation fails: the fake has none that do. */
  private atomic({ operations }: AtomicCall, answer: WireWriter): void {
    const failed = operations.flatMap((operation, position) => {
      if (operation.type !== 'check') return []
      const current = this.entries.get(operation.key)?.version ?? null
      return current === operation.version ? [] : [{ position, key: operation.key }]
    })
    answer.array(2)
    if (failed.length > 0) {
      answer.integer(0)
      answer.array(2 * failed.length)
      for (const { position, key } of failed) {
        answer.integer(position)
        if (this.leavesOutConflicts) answer.boolean(false)
        else this.writeEntry(key, answer)
      }
      return
    }
    const revision = this.revision + 1
    answer.integer(revision)
    answer.array(operations.length)
    for (const operation of operations) {
      this.revision = revision - 1
      const result = operation.type === 'check' || operation.type === 'set'
      if (operation.type !== 'check') this.execute(operation, result ? new WireWriter() : answer)
      if (result) answer.nil()
    }
    this.revision = revision
  }

  private set(call: Extract<Call, { type: 'set' }>, answer: WireWriter): void {
    const stored = this.entries.get(call.key)
    if (call.ifVersion !== undefined && (stored?.version ?? null) !== call.ifVersion) {
      this.writeEntry(call.key, answer)
      return
    }
    this.revision += 1
    this.setsExecuted += 1
    const { expiry } = call
    const kept = expiry.kind === 'keep' ? (stored?.expiresAt ?? 0) : 0
    this.entries.set(call.key, {
      bytes: Uint8Array.from(call.source.subarray(call.start, call.end)),
      version: this.revision,
      expiresAt: 'ms' in expiry ? expiry.ms : kept,
    })
    answer.integer(this.revision)
  }

  private writeEntry(key: string, answer: WireWriter): void {
    const stored = this.entries.get(key)
    if (stored === undefined) {
      answer.nil()
      return
    }
    answer.array(3)
    answer.integer(stored.version)
    answer.integer(stored.expiresAt)
    answer.binary(stored.bytes)
  }

  private keysIn(call: ScanCall | CountCall | ClearCall): string[] {
    const { from, to } = call
    return Array.from(this.entries.keys())
      .filter((key) => shardOf(key, this.shardCount) === call.shard)
      .filter((key) => compareKeys(key, from) >= 0)
      .filter((key) => to === undefined || compareKeys(key, to) < 0)
      .toSorted(compareKeys)
  }

  private scan(call: ScanCall, answer: WireWriter): void {
    const keys = this.keysIn(call)
    if (call.reverse) keys.reverse()
    const page = keys.slice(0, Math.min(call.limit, this.stepMax))
    this.itemsScanned += page.length
    answer.array(1 + page.length * (call.keysOnly ? 1 : 4))
    const last = page.at(-1)
    if (page.length === keys.length || last === undefined) answer.nil()
    else answer.text(call.reverse ? last : keyAfter(last))
    for (const key of page) {
      const stored = this.entries.get(key)!
      answer.text(key)
      if (call.keysOnly) continue
      answer.integer(stored.version)
      answer.integer(stored.expiresAt)
      answer.binary(stored.bytes)
    }
  }

  private sweep(call: CountCall | ClearCall, answer: WireWriter): void {
    const keys = this.keysIn(call)
    const step = keys.slice(0, this.stepMax)
    if (call.type === 'clear') for (const key of step) this.entries.delete(key)
    answer.array(2)
    answer.integer(step.length)
    if (step.length === keys.length) answer.nil()
    else answer.text(keyAfter(step.at(-1)!))
  }
}
