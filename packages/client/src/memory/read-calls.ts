/**
 * Answers read calls from a shard in memory.
 */
import type { CountCall, ReadCall, ScanCall } from '@kv/protocol'
import { keyAfter, PAGE_BYTES_SOFT, WireWriter } from '@kv/protocol'
import type { Found } from './draft.js'
import type { MemoryShard } from './memory-shard.js'

export function executeRead(
  shard: MemoryShard,
  call: ReadCall,
  nowMs: number,
  answer: WireWriter,
): void {
  switch (call.type) {
    case 'get':
      writeValue(answer, shard.get(call.key, nowMs))
      return
    case 'entry':
      writeEntry(answer, shard.get(call.key, nowMs))
      return
    case 'has':
      answer.boolean(shard.get(call.key, nowMs) !== undefined)
      return
    case 'scan':
      writePage(shard, call, nowMs, answer)
      return
    case 'count':
      writeCount(shard, call, nowMs, answer)
  }
}

function writeValue(answer: WireWriter, found: Found | undefined): void {
  if (found === undefined) answer.nil()
  else answer.binary(found.bytes)
}

/** `[version, expiry or 0, value]`, or nil. */
export function writeEntry(answer: WireWriter, found: Found | undefined): void {
  if (found === undefined) {
    answer.nil()
    return
  }
  answer.array(3)
  answer.integer(found.version)
  answer.integer(found.expiresAt)
  answer.binary(found.bytes)
}

/** The bound at which the rest of a range begins (in reverse: ends), or nil if nothing is left. */
export function writeResume(answer: WireWriter, resume: string | undefined): void {
  if (resume === undefined) answer.nil()
  else answer.text(resume)
}

function writePage(
  shard: MemoryShard,
  { from, to, limit, reverse, keysOnly }: ScanCall,
  nowMs: number,
  answer: WireWriter,
): void {
  const page = new WireWriter()
  let count = 0
  let resume: string | undefined
  for (const key of shard.keysIn({ from, to }, reverse, nowMs)) {
    count += 1
    page.text(key)
    if (!keysOnly) {
      const { version, expiresAt, bytes } = shard.get(key, nowMs)!
      page.integer(version)
      page.integer(expiresAt)
      page.binary(bytes)
    }
    if (count === limit || page.position >= PAGE_BYTES_SOFT) {
      resume = reverse ? key : keyAfter(key)
      break
    }
  }
  answer.array(1 + count * (keysOnly ? 1 : 4))
  writeResume(answer, resume)
  answer.raw(page.bytes, 0, page.position)
}

function writeCount(shard: MemoryShard, call: CountCall, nowMs: number, answer: WireWriter): void {
  let count = 0
  for (const _ of shard.keysIn(call, false, nowMs)) count += 1
  answer.array(2)
  answer.integer(count)
  answer.nil()
}
