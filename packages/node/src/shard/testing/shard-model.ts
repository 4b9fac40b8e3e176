/**
 * What a shard is to its clients: a map of entries and the last revision. It knows nothing of
 * logs, overlays or stored state, and says for each call what the shard must answer.
 */
import type { Call, ExpiryRule, WireReader } from '@kv/protocol'
import type { Answer } from '../answer.js'
import { readAtomicAnswer, takeAtomic } from './atomic-model.js'
import type { EntryAnswer } from './calls.js'
import {
  faultOf,
  incrementCall,
  readCountAnswer,
  readCounterAnswer,
  readEntryAnswer,
  readEntryFrom,
  readPageAnswer,
  readValueAnswer,
  setCall,
} from './calls.js'
import { keysInRange } from './entries.js'

export type Condition = 'none' | 'absent' | 'current' | 'other'

interface SetIntent {
  readonly kind: 'set'
  readonly key: string
  readonly text: string
  /** Bytes to make the value longer by. */
  readonly padding: number
  readonly expiry: ExpiryRule['kind']
  readonly ms: number
  readonly condition: Condition
}

interface IncrementIntent {
  readonly kind: 'increment'
  readonly key: string
  readonly by: number
  readonly ms: number | undefined
  readonly max: number | undefined
}

interface DeleteIntent {
  readonly kind: 'delete' | 'deleteIf'
  readonly key: string
  readonly condition: 'current' | 'other'
}

interface TouchIntent {
  readonly kind: 'touch'
  readonly key: string
  readonly ms: number | undefined
}

interface LookIntent {
  readonly kind: 'get' | 'entry' | 'has'
  readonly key: string
}

/** Of these, `reverse` and `keysOnly` matter to a scan only. */
interface RangeIntent {
  readonly kind: 'clear' | 'count' | 'scan'
  readonly from: string
  readonly to: string | undefined
  readonly reverse: boolean
  readonly keysOnly: boolean
}

interface CheckPart {
  readonly kind: 'check'
  readonly key: string
  readonly holds: boolean
}

/** An operation of an atomic batch; a set is without condition. */
export type AtomicPart =
  | CheckPart
  | SetIntent
  | IncrementIntent
  | (DeleteIntent & { readonly kind: 'delete' })
  | TouchIntent

interface AtomicIntent {
  readonly kind: 'atomic'
  readonly parts: readonly AtomicPart[]
}

/** A call before it is known what it will meet. */
export type Intent =
  | SetIntent
  | IncrementIntent
  | DeleteIntent
  | TouchIntent
  | LookIntent
  | RangeIntent
  | AtomicIntent

interface ModelEntry extends EntryAnswer {
  readonly counter: number | undefined
}

export interface Expected {
  readonly call: Call
  /** Compared with what `comparable` makes of the answer. */
  readonly answer: unknown
  /** Whether the call takes a revision. */
  readonly isLogged: boolean
}

const SCAN_LIMIT = 1_000

export class ShardModel {
  readonly shard: number
  revision: number
  private entries: Map<string, ModelEntry>

  constructor(shard: number, revision: number, entries: Iterable<[string, ModelEntry]> = []) {
    this.shard = shard
    this.revision = revision
    this.entries = new Map(entries)
  }

  copy(): ShardModel {
    return new ShardModel(this.shard, this.revision, this.entries)
  }

  /** The keys that a reader at `nowMs` sees. */
  visible(nowMs: number): string[] {
    return this.keysIn({ from: '', to: undefined }, false, nowMs)
  }

  private keysIn(
    range: { readonly from: string; readonly to: string | undefined },
    reverse: boolean,
    nowMs: number,
  ): string[] {
    const there = [...this.entries.keys()].filter((key) => this.find(key, nowMs) !== undefined)
    return keysInRange(there, range, reverse)
  }

  private find(key: string, nowMs: number): ModelEntry | undefined {
    const entry = this.entries.get(key)
    const isOver = entry !== undefined && entry.expiresAt !== 0 && entry.expiresAt <= nowMs
    return isOver ? undefined : entry
  }

  /** Carries the intent out. */
  take(intent: Intent, nowMs: number): Expected {
    switch (intent.kind) {
      case 'set':
        return this.set(intent, nowMs)
      case 'increment':
        return this.increment(intent, nowMs)
      case 'delete':
      case 'deleteIf':
        return this.delete(intent, nowMs)
      case 'touch':
        return this.touch(intent, nowMs)
      case 'get':
      case 'entry':
      case 'has':
        return this.look(intent, nowMs)
      case 'clear':
        return this.clear(intent, nowMs)
      case 'count':
      case 'scan':
        return this.walk(intent, nowMs)
      case 'atomic':
        return this.atomic(intent, nowMs)
    }
  }

  /** Tried on a copy, in which every operation takes the same revision. */
  private atomic({ parts }: AtomicIntent, nowMs: number): Expected {
    const trial = this.copy()
    const expected = takeAtomic(parts, this.trial(nowMs), {
      ...trial.trial(nowMs),
      try: (part) => {
        trial.revision = this.revision
        return trial.take(part, nowMs)
      },
    })
    if (expected.isLogged) {
      this.revision += 1
      this.entries = trial.entries
    }
    return expected
  }

  private trial(nowMs: number): Parameters<typeof takeAtomic>[1] {
    return {
      revision: this.revision,
      versionOf: (key) => this.find(key, nowMs)?.version ?? null,
      shown: (key) => shown(this.find(key, nowMs)),
      isAbsent: (key) => !this.entries.has(key),
      try: () => {
        throw new Error('only a copy is tried on')
      },
    }
  }

  private set(intent: SetIntent, nowMs: number): Expected {
    const { key, padding, expiry: kind, ms, condition } = intent
    const text = intent.text + '.'.repeat(padding)
    const current = this.find(key, nowMs)
    const expiry =
      kind === 'ttl' ? { kind, ms } : kind === 'at' ? { kind, ms: nowMs + ms } : { kind }
    const conditions = {
      none: undefined,
      absent: null,
      current: current?.version ?? null,
      other: (current?.version ?? 0) + 1,
    }
    const ifVersion = conditions[condition]
    const call = setCall(key, text, { expiry, ...(ifVersion === undefined ? {} : { ifVersion }) })
    if (ifVersion !== undefined && ifVersion !== (current?.version ?? null)) {
      return { call, answer: shown(current), isLogged: false }
    }
    const ends = { none: 0, ttl: nowMs + ms, at: nowMs + ms, keep: current?.expiresAt ?? 0 }
    this.put(key, { expiresAt: ends[kind], text, counter: undefined })
    return { call, answer: this.revision, isLogged: true }
  }

  private increment(intent: IncrementIntent, nowMs: number): Expected {
    const { key, by, ms, max } = intent
    const options = {
      ...(ms === undefined ? {} : { ttlMs: ms }),
      ...(max === undefined ? {} : { max }),
    }
    const call = incrementCall(key, by, options)
    const current = this.find(key, nowMs)
    const before = current === undefined ? 0 : current.counter
    if (before === undefined) return { call, answer: 'NOT_A_NUMBER not-applied', isLogged: false }
    const value = before + by
    if (max !== undefined && value > max) {
      return { call, answer: 'OUT_OF_RANGE not-applied', isLogged: false }
    }
    const ends = ms === undefined ? 0 : nowMs + ms
    const expiresAt = current === undefined ? ends : current.expiresAt
    // Counters stay below 128 here: one byte, and the same as a character.
    this.put(key, { expiresAt, text: String.fromCharCode(value), counter: value })
    return { call, answer: [value, this.revision, expiresAt], isLogged: true }
  }

  private put(key: string, entry: Omit<ModelEntry, 'version'>): void {
    this.revision += 1
    this.entries.set(key, { ...entry, version: this.revision })
  }

  private delete(intent: DeleteIntent, nowMs: number): Expected {
    const { key } = intent
    const current = this.find(key, nowMs)
    if (intent.kind === 'delete') {
      const call = { type: 'delete', key } as const
      if (current === undefined) return { call, answer: false, isLogged: false }
      this.remove(key)
      return { call, answer: true, isLogged: true }
    }
    const version = intent.condition === 'current' ? (current?.version ?? 1) : 2 ** 40
    const call = { type: 'deleteIf', key, version } as const
    if (current?.version !== version) return { call, answer: shown(current), isLogged: false }
    this.remove(key)
    return { call, answer: true, isLogged: true }
  }

  private remove(...keys: readonly string[]): void {
    this.revision += 1
    for (const key of keys) this.entries.delete(key)
  }

  private touch({ key, ms }: TouchIntent, nowMs: number): Expected {
    const call = { type: 'touch', key, ttlMs: ms } as const
    const current = this.find(key, nowMs)
    if (current === undefined) return { call, answer: false, isLogged: false }
    this.revision += 1
    this.entries.set(key, { ...current, expiresAt: ms === undefined ? 0 : nowMs + ms })
    return { call, answer: true, isLogged: true }
  }

  private clear({ from, to }: RangeIntent, nowMs: number): Expected {
    const call = { type: 'clear', shard: this.shard, from, to } as const
    const keys = this.keysIn({ from, to }, false, nowMs)
    if (keys.length > 0) this.remove(...keys)
    const answer = { count: keys.length, resume: undefined }
    return { call, answer, isLogged: keys.length > 0 }
  }

  private look({ kind: type, key }: LookIntent, nowMs: number): Expected {
    const current = this.find(key, nowMs)
    const answers = {
      get: current && brief(current.text),
      entry: shown(current),
      has: current !== undefined,
    }
    return { call: { type, key }, answer: answers[type], isLogged: false }
  }

  private walk(intent: RangeIntent, nowMs: number): Expected {
    const { shard } = this
    const { from, to, reverse, keysOnly } = intent
    const keys = this.keysIn(intent, reverse, nowMs)
    if (intent.kind === 'count') {
      const answer = { count: keys.length, resume: undefined }
      return { call: { type: 'count', shard, from, to }, answer, isLogged: false }
    }
    const entries = keys.map((key) =>
      keysOnly ? { key } : { key, ...shown(this.entries.get(key)) },
    )
    const call = { type: 'scan', shard, from, to, reverse, keysOnly, limit: SCAN_LIMIT } as const
    return { call, answer: { resume: undefined, entries }, isLogged: false }
  }
}

function shown(entry: EntryAnswer | undefined): EntryAnswer | undefined {
  if (entry === undefined) return undefined
  const { version, expiresAt, text } = entry
  return { version, expiresAt, text: brief(text) }
}

/** What tells one value from another, without the padding. */
function brief(text: string): string {
  const end = text.search(/\.*$/)
  return text.length - end < 4 ? text : `${text.slice(0, end)}(${text.length - end} dots)`
}

/** The shard's answer in the form in which the model says it. */
export function comparable(call: Call, answer: Answer): unknown {
  const fault = faultOf(answer)
  if (fault !== undefined) return fault
  switch (call.type) {
    case 'get': {
      const text = readValueAnswer(answer)
      return text === undefined ? undefined : brief(text)
    }
    case 'entry':
      return shown(readEntryAnswer(answer))
    case 'has':
      return (answer as Uint8Array)[0] === 0xc3
    case 'scan':
      return comparablePage(readPageAnswer(answer, call.keysOnly))
    case 'count':
    case 'clear':
      return readCountAnswer(answer)
    case 'increment':
      return readCounterAnswer(answer)
    case 'atomic':
      return readAtomicAnswer(call, answer, (reader: WireReader) => shown(readEntryFrom(reader)))
    case 'set':
    case 'deleteIf':
      return typeof answer === 'number' || answer === true ? answer : shown(readEntryAnswer(answer))
    case 'delete':
    case 'touch':
    case 'lock':
    case 'unlock':
      return answer
  }
}

function comparablePage(page: ReturnType<typeof readPageAnswer>): unknown {
  const { resume, entries } = page
  return {
    resume,
    entries: entries.map((entry) =>
      entry.text === undefined ? entry : { ...entry, text: brief(entry.text) },
    ),
  }
}
