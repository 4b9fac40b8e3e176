/**
 * Carries write calls out, by the rules of a node: the behavioural suite holds both to them.
 */
import type {
  AtomicCall,
  ClearCall,
  DeleteIfCall,
  ErrorCode,
  ExpiryRule,
  IncrementCall,
  SetCall,
  TouchCall,
  WriteCall,
} from '@kv/protocol'
import {
  ERROR_RULES,
  keyAfter,
  PAGE_BYTES_SOFT,
  PAGE_ENTRIES_MAX,
  readNumberValue,
  WireWriter,
  writeFault,
  writeNumberValue,
} from '@kv/protocol'
import { Draft } from './draft.js'
import type { Found } from './draft.js'
import { lock, unlock } from './lock-calls.js'
import type { MemoryShard } from './memory-shard.js'
import { writeEntry, writeResume } from './read-calls.js'

const TIME_MS_MAX = Number.MAX_SAFE_INTEGER

/** Why a call is refused: nothing of its draft takes effect. */
class Refusal extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

/** Carries a call out as one revision, if it changes anything, and writes its answer. */
export function executeWrite(
  shard: MemoryShard,
  call: WriteCall,
  nowMs: number,
  answer: WireWriter,
): void {
  const draft = new Draft(shard, nowMs)
  const start = answer.position
  try {
    if (call.type === 'clear') clear(shard, call, draft, answer)
    else if (call.type === 'atomic') atomic(shard, call, draft, answer)
    else write(call, draft, answer)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    const { wire, outcome } = ERROR_RULES[error.code]
    answer.position = start
    writeFault(answer, { code: wire, outcome, message: error.message })
    return
  }
  shard.commit(draft)
}

function write(
  call: Exclude<WriteCall, AtomicCall | ClearCall>,
  draft: Draft,
  answer: WireWriter,
): void {
  switch (call.type) {
    case 'set':
      set(call, draft, answer)
      return
    case 'delete': {
      const isThere = draft.find(call.key) !== undefined
      if (isThere) draft.delete(call.key)
      answer.boolean(isThere)
      return
    }
    case 'deleteIf':
      deleteIf(call, draft, answer)
      return
    case 'touch':
      touch(call, draft, answer)
      return
    case 'increment':
      increment(call, draft, answer)
      return
    case 'lock': {
      const problem = lock(call, draft, answer)
      if (problem !== undefined) throw new Refusal('OVERLOADED', problem)
      return
    }
    case 'unlock':
      unlock(call, draft, answer)
  }
}

function set(call: SetCall, draft: Draft, answer: WireWriter): void {
  const { key, source, start, end, expiry, ifVersion } = call
  const current = draft.find(key)
  if (ifVersion !== undefined && (current?.version ?? null) !== ifVersion) {
    writeEntry(answer, current)
    return
  }
  const expiresAt = expiry.kind === 'keep' ? (current?.expiresAt ?? 0) : endOf(expiry, draft.nowMs)
  // A copy: the memory is that of the message. `slice` of a Buffer is none.
  draft.put(key, new Uint8Array(source.subarray(start, end)), expiresAt)
  answer.integer(draft.revision)
}

/** When an entry ends that is written now: whole epoch milliseconds, 0 for never. */
function endOf(expiry: Exclude<ExpiryRule, { kind: 'keep' }>, nowMs: number): number {
  if (expiry.kind === 'none') return 0
  const endMs = expiry.kind === 'ttl' ? nowMs + expiry.ms : expiry.ms
  return Math.min(Math.max(Math.ceil(endMs), 1), TIME_MS_MAX)
}

function deleteIf({ key, version }: DeleteIfCall, draft: Draft, answer: WireWriter): void {
  const current = draft.find(key)
  if (current?.version !== version) {
    writeEntry(answer, current)
    return
  }
  draft.delete(key)
  answer.boolean(true)
}

function touch({ key, ttlMs }: TouchCall, draft: Draft, answer: WireWriter): void {
  const current = draft.find(key)
  if (current !== undefined) {
    const expiresAt = ttlMs === undefined ? 0 : endOf({ kind: 'ttl', ms: ttlMs }, draft.nowMs)
    draft.touch(key, current, expiresAt)
  }
  answer.boolean(current !== undefined)
}

function increment(call: IncrementCall, draft: Draft, answer: WireWriter): void {
  const current = draft.find(call.key)
  const value = sumOf(current, call)
  const isCreated = current === undefined && call.ttlMs !== undefined
  const expiresAt = isCreated
    ? endOf({ kind: 'ttl', ms: call.ttlMs }, draft.nowMs)
    : (current?.expiresAt ?? 0)
  const encoded = new WireWriter()
  writeNumberValue(encoded, value)
  draft.put(call.key, encoded.written(), expiresAt)
  answer.array(3)
  answer.number(value)
  answer.integer(draft.revision)
  answer.integer(expiresAt)
}

function sumOf(current: Found | undefined, call: IncrementCall): number {
  const before = current === undefined ? 0 : readNumberValue(current.bytes, 0, current.bytes.length)
  if (before === undefined) {
    throw new Refusal('NOT_A_NUMBER', 'the key holds something that is no number')
  }
  const value = before + call.by
  const min = Math.max(call.min ?? -Infinity, -Number.MAX_SAFE_INTEGER)
  const max = Math.min(call.max ?? Infinity, Number.MAX_SAFE_INTEGER)
  if (value < min || value > max) {
    throw new Refusal('OUT_OF_RANGE', `${before} + ${call.by} is not in [${min}, ${max}]`)
  }
  return value
}

function clear(shard: MemoryShard, range: ClearCall, draft: Draft, answer: WireWriter): void {
  let resume: string | undefined
  for (const key of shard.keysIn(range, false, draft.nowMs)) {
    draft.delete(key)
    if (draft.effects.size < PAGE_ENTRIES_MAX) continue
    resume = keyAfter(key)
    break
  }
  answer.array(2)
  answer.integer(draft.effects.size)
  writeResume(answer, resume)
}

/** Checks first, on the state before the batch; then each operation on what those before it made. */
function atomic(
  shard: MemoryShard,
  { operations }: AtomicCall,
  draft: Draft,
  answer: WireWriter,
): void {
  if (writeFailedChecks(operations, draft, answer)) return
  const results = new WireWriter()
  for (const operation of operations) {
    const start = results.position
    if (operation.type !== 'check') write(operation, draft, results)
    if (operation.type !== 'check' && operation.type !== 'set') continue
    // Nothing that the version of the whole does not say.
    results.position = start
    results.nil()
  }
  answer.array(2)
  answer.integer(draft.effects.size > 0 ? draft.revision : shard.revision)
  answer.array(operations.length)
  answer.raw(results.bytes, 0, results.position)
}

/** `[0, [position, entry or nil, …]]`, each key once; an entry too many is `false`. */
function writeFailedChecks(
  operations: AtomicCall['operations'],
  draft: Draft,
  answer: WireWriter,
): boolean {
  const failed = new Set<string>()
  const pairs = new WireWriter()
  for (const [position, operation] of operations.entries()) {
    if (operation.type !== 'check' || failed.has(operation.key)) continue
    const current = draft.find(operation.key)
    if ((current?.version ?? null) === operation.version) continue
    pairs.integer(position)
    const bytes = current === undefined ? 0 : current.bytes.length
    const fits = failed.size === 0 || pairs.position + bytes <= PAGE_BYTES_SOFT
    if (fits) writeEntry(pairs, current)
    else pairs.boolean(false)
    failed.add(operation.key)
  }
  if (failed.size === 0) return false
  answer.array(2)
  answer.integer(0)
  answer.array(2 * failed.size)
  answer.raw(pairs.bytes, 0, pairs.position)
  return true
}
