/** Calls as tests say them, and answers as tests compare them. */
import type { Call, ExpiryRule, SetCall } from '@kv/protocol'
import { errorCodeOf, MOVED, readFault, WireReader } from '@kv/protocol'
import type { Answer, Answers } from '../answer.js'

const ANY_BYTES = 0x7fff_ffff

export interface SetOptions {
  readonly expiry?: ExpiryRule
  readonly ifVersion?: number | null
}

export function setCall(key: string, text: string, options: SetOptions = {}): SetCall {
  const source = Buffer.from(text)
  const { expiry = { kind: 'none' }, ifVersion } = options
  return { type: 'set', key, source, start: 0, end: source.length, expiry, ifVersion }
}

export function incrementCall(
  key: string,
  by: number,
  options: { readonly ttlMs?: number; readonly min?: number; readonly max?: number } = {},
): Extract<Call, { type: 'increment' }> {
  const { ttlMs, min, max } = options
  return { type: 'increment', key, by, ttlMs, min, max }
}

export interface EntryAnswer {
  readonly version: number
  readonly expiresAt: number
  readonly text: string
}

/** `undefined`: no such entry. Throws if the answer is a fault. */
export function readEntryAnswer(answer: Answer): EntryAnswer | undefined {
  const reader = readerOf(answer)
  const entry = readEntryFrom(reader)
  reader.finish()
  return entry
}

export function readEntryFrom(reader: WireReader): EntryAnswer | undefined {
  if (reader.skipNil()) return undefined
  reader.tuple(3)
  return {
    version: reader.unsigned(),
    expiresAt: reader.unsigned(),
    text: readText(reader),
  }
}

export function readValueAnswer(answer: Answer): string | undefined {
  const reader = readerOf(answer)
  if (reader.skipNil()) return undefined
  const text = readText(reader)
  reader.finish()
  return text
}

/** `[value, version, expiry]` of a counter. */
export function readCounterAnswer(answer: Answer): [number, number, number] {
  const reader = readerOf(answer)
  reader.tuple(3)
  return [reader.number(), reader.unsigned(), reader.unsigned()]
}

/** What `count` and `clear` answer. */
export function readCountAnswer(answer: Answer): { count: number; resume: string | undefined } {
  const reader = readerOf(answer)
  reader.tuple(2)
  return {
    count: reader.unsigned(),
    resume: reader.skipNil() ? undefined : reader.text(ANY_BYTES),
  }
}

/** What `scan` answers, of keys alone or of entries. */
export function readPageAnswer(
  answer: Answer,
  keysOnly: boolean,
): { resume: string | undefined; entries: ({ key: string } & Partial<EntryAnswer>)[] } {
  const reader = readerOf(answer)
  const items = reader.array(ANY_BYTES) - 1
  const resume = reader.skipNil() ? undefined : reader.text(ANY_BYTES)
  const entries: ({ key: string } & Partial<EntryAnswer>)[] = []
  for (let read = 0; read < items; read += keysOnly ? 1 : 4) {
    const key = reader.text(ANY_BYTES)
    if (keysOnly) {
      entries.push({ key })
      continue
    }
    const version = reader.unsigned()
    const expiresAt = reader.unsigned()
    entries.push({ key, version, expiresAt, text: readText(reader) })
  }
  reader.finish()
  return { resume, entries }
}

/** `CODE outcome` of a fault; `undefined` for any other answer. */
export function faultOf(answer: Answer | undefined): string | undefined {
  if (!(answer instanceof Uint8Array)) return undefined
  const fault = readFault(new WireReader(answer))
  if (fault === undefined) return undefined
  return `${fault.code === MOVED ? 'MOVED' : errorCodeOf(fault.code)} ${fault.outcome}`
}

function readerOf(answer: Answer): WireReader {
  const fault = faultOf(answer)
  if (fault !== undefined) throw new Error(`an answer is due, found ${fault}`)
  return new WireReader(answer instanceof Uint8Array ? answer : Uint8Array.of(0xc0))
}

function readText(reader: WireReader): string {
  return Buffer.from(reader.binary(ANY_BYTES)).toString()
}

/** Takes the answers to calls; each position is answered once. */
export class GatheredAnswers implements Answers {
  readonly byPosition: Map<number, Answer> = new Map()
  /** Positions in the order in which they were answered. */
  readonly order: number[] = []
  private readonly waiting = new Map<number, (answer: Answer) => void>()

  answer(position: number, answer: Answer): void {
    if (this.byPosition.has(position)) throw new Error(`call ${position} was answered twice`)
    this.byPosition.set(position, answer)
    this.order.push(position)
    this.waiting.get(position)?.(answer)
  }

  /** The answer, now or once it comes. */
  at(position: number): Promise<Answer> {
    const known = this.byPosition.get(position)
    if (known !== undefined) return Promise.resolve(known)
    return new Promise((resolve) => {
      this.waiting.set(position, resolve)
    })
  }
}
