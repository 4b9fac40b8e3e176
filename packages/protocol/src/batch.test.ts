import assert from 'node:assert/strict'
import fc from 'fast-check'
import { unpack } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import type { BatchEnvelope, BatchHead } from './batch-body.js'
import { BATCH_HEADROOM_BYTES, BatchBody, encodeBatch } from './batch-body.js'
import {
  OUTCOMES,
  outcomeOf,
  readFault,
  readReplyHead,
  writeFault,
  writeFullReplyHead,
  writePartReplyHead,
} from './batch-reply.js'
import type { Call } from './calls.js'
import { writeReadCall, writeWriteCall } from './calls.js'
import { decodeClientMessage } from './codec.js'
import { KvError } from './errors.js'
import { BATCH_CALLS_MAX, ERROR_TEXT_BYTES_MAX } from './limits.js'
import { WireReader } from './wire-reader.js'
import { WireWriter } from './wire-writer.js'

const envelope: BatchEnvelope = { id: 9, child: 2, topologyVersion: 300, remainingMs: 10_000 }
const refused = expect.objectContaining({ name: 'KvError', code: 'PROTOCOL' }) as Error

function batchOf(head: BatchHead, keys: readonly string[]): Uint8Array {
  const calls = new WireWriter(0, BATCH_HEADROOM_BYTES)
  for (const key of keys) {
    if (!('lowWater' in head)) writeReadCall(calls, { type: 'get', key })
    else writeWriteCall(calls, { type: 'delete', key })
  }
  return encodeBatch(envelope, head, keys.length, calls).slice()
}

function bodyOf(batch: Uint8Array): BatchBody {
  const message = decodeClientMessage(batch)
  assert(message.type === 'batch')
  return new BatchBody(message.body)
}

function callsOf(body: BatchBody): Call[] {
  return Array.from({ length: body.callCount }, () => body.next())
}

const keys = fc.array(fc.string({ unit: 'binary', minLength: 1, maxLength: 30 }), {
  minLength: 1,
  maxLength: 40,
})

describe('batch: the body', () => {
  test('batch: any reads → come back in order, without sequence numbers', () => {
    fc.assert(
      fc.property(keys, fc.constantFrom('reads', 'replicaReads'), (asked, kind) => {
        const body = bodyOf(batchOf({ kind }, asked))
        expect(body).toMatchObject({ kind, isOfReads: true })
        expect(body.lowWater).toBe(0)
        expect(body.sequenceAt(asked.length - 1)).toBe(0)
        expect(callsOf(body)).toEqual(asked.map((key) => ({ type: 'get', key })))
      }),
    )
  })

  test('batch: any writes → numbered from the first', () => {
    fc.assert(
      fc.property(keys, fc.nat(), fc.nat(), (asked, firstSequence, lowWater) => {
        const body = bodyOf(batchOf({ kind: 'writes', firstSequence, lowWater }, asked))
        expect(body.kind).toBe('writes')
        expect(body.lowWater).toBe(lowWater)
        const sequences = asked.map((_, position) => body.sequenceAt(position))
        expect(sequences).toEqual(asked.map((_, position) => firstSequence + position))
        expect(callsOf(body)).toEqual(asked.map((key) => ({ type: 'delete', key })))
      }),
    )
  })

  test('batch: few or many resent writes → each keeps its number', () => {
    // Beyond some tens of calls the head is longer than the headroom.
    for (const callCount of [1, 2, 10, 30, 1_000, BATCH_CALLS_MAX]) {
      const asked = Array.from({ length: callCount }, (_, index) => `key ${index}`)
      const sequences = asked.map((_, index) => 1_000_000 + index * 3)
      const body = bodyOf(batchOf({ kind: 'resends', sequences, lowWater: 5 }, asked))
      expect(body.kind).toBe('resends')
      expect(body.lowWater).toBe(5)
      expect(asked.map((_, position) => body.sequenceAt(position))).toEqual(sequences)
      expect(callsOf(body)).toEqual(asked.map((key) => ({ type: 'delete', key })))
    }
  })

  test('batch: a head within the headroom → the calls stay where they were written', () => {
    const calls = new WireWriter(0, BATCH_HEADROOM_BYTES)
    writeReadCall(calls, { type: 'get', key: 'a' })
    const bytes = encodeBatch(envelope, { kind: 'reads' }, 1, calls)
    expect(bytes.buffer).toBe(calls.bytes.buffer)
  })

  test('batch: a head of the largest numbers → within the headroom', () => {
    const most = Number.MAX_SAFE_INTEGER
    const largest = { id: most, child: most, topologyVersion: most, remainingMs: most }
    const calls = new WireWriter(0, BATCH_HEADROOM_BYTES)
    for (let index = 0; index < BATCH_CALLS_MAX; index += 1) {
      writeWriteCall(calls, { type: 'delete', key: 'a key of some bytes' })
    }
    const head = { kind: 'writes', firstSequence: most - BATCH_CALLS_MAX, lowWater: most } as const
    const bytes = encodeBatch(largest, head, BATCH_CALLS_MAX, calls)
    expect(bytes.buffer).toBe(calls.bytes.buffer)
    expect(decodeClientMessage(bytes)).toMatchObject(largest)
    expect(callsOf(bodyOf(bytes)).length).toBe(BATCH_CALLS_MAX)
  })

  test('batch: each kind → the structure that another decoder of MessagePack sees', () => {
    const seen = (batch: Uint8Array): unknown => {
      const message = unpack(batch) as unknown[]
      expect(message.slice(0, 5)).toEqual([2, 9, 2, 300, 10_000])
      return unpack(message[5] as Uint8Array)
    }
    const asked = ['a', 'b']
    const writes = { kind: 'writes', firstSequence: 7, lowWater: 6 } as const
    const resends = { kind: 'resends', sequences: [3, 5], lowWater: 2 } as const
    expect(seen(batchOf({ kind: 'reads' }, asked))).toEqual([0, asked])
    expect(seen(batchOf(writes, asked))).toEqual([1, 7, 6, asked])
    expect(seen(batchOf(resends, asked))).toEqual([2, 2, [3, 5], asked])
    expect(seen(batchOf({ kind: 'replicaReads' }, asked))).toEqual([3, asked])
  })

  test.each([
    ['no bytes', ''],
    ['an unknown kind', '92 04 91 a1 61'],
    ['replica reads with fields of writes', '94 03 01 01 91 a1 61'],
    ['reads with fields of writes', '94 00 01 01 91 a1 61'],
    ['writes with fields of reads', '92 01 91 a1 61'],
    ['no calls', '92 00 90'],
    ['fewer sequence numbers than calls', '94 02 01 91 05 92 a1 61 a1 62'],
    ['more calls than a batch may have', '92 00 dd 00 00 40 01'],
    ['4 G calls', '92 00 dd ff ff ff ff'],
    ['a negative sequence number', '94 01 ff 00 91 a1 61'],
  ])('batch: %s → PROTOCOL', (_, hex) => {
    expect(() => new BatchBody(Buffer.from(hex.replaceAll(' ', ''), 'hex'))).toThrow(refused)
  })

  test('batch: bytes after the last call → PROTOCOL with that call', () => {
    const body = new BatchBody(Buffer.from('920092a161a162c0', 'hex'))
    expect(body.next()).toEqual({ type: 'get', key: 'a' })
    expect(() => body.next()).toThrow(refused)
  })

  test('batch: a write among reads → PROTOCOL', () => {
    for (const hex of ['9200919211a161', '9203919211a161']) {
      expect(() => new BatchBody(Buffer.from(hex, 'hex')).next()).toThrow(refused)
    }
  })

  test('batch: any body cut or changed at any byte → calls or PROTOCOL, nothing else', () => {
    const walk = (bytes: Uint8Array): boolean => {
      try {
        callsOf(new BatchBody(bytes))
        return true
      } catch (error) {
        if (error instanceof KvError && error.code === 'PROTOCOL') return false
        throw error
      }
    }
    const heads = fc.constantFrom('reads', 'writes', 'resends', 'replicaReads')
    const flips = fc.integer({ min: 1, max: 255 })
    fc.assert(
      fc.property(heads, keys, flips, (kind, asked, flip) => {
        const sequences = asked.map((_, index) => index)
        const head = (
          kind.endsWith('eads') ? { kind } : { kind, firstSequence: 1, lowWater: 0, sequences }
        ) as BatchHead
        const message = decodeClientMessage(batchOf(head, asked))
        assert(message.type === 'batch')
        for (let index = 0; index < message.body.length; index += 1) {
          assert(!walk(message.body.slice(0, index)))
          const changed = Uint8Array.from(message.body)
          changed[index] = (changed[index] ?? 0) ^ flip
          assert(typeof walk(changed) === 'boolean')
        }
      }),
      { numRuns: 40 },
    )
  })
})

describe('reply: the body', () => {
  function reading(write: (writer: WireWriter) => void): WireReader {
    const writer = new WireWriter()
    write(writer)
    return new WireReader(writer.written().slice())
  }

  test('reply: to every call → no positions, the answers follow in order', () => {
    const reader = reading((writer) => {
      writeFullReplyHead(writer, 3)
      for (const answer of [10, 20, 30]) writer.integer(answer)
    })
    expect(readReplyHead(reader, 3)).toBeUndefined()
    expect([reader.integer(), reader.integer(), reader.integer()]).toEqual([10, 20, 30])
    reader.finish()
  })

  test('reply: to some calls → their positions, in the order of the answers', () => {
    const reader = reading((writer) => {
      writePartReplyHead(writer, [4, 0, 2])
      for (const answer of [10, 20, 30]) writer.integer(answer)
    })
    expect(readReplyHead(reader, 5)).toEqual([4, 0, 2])
    expect([reader.integer(), reader.integer(), reader.integer()]).toEqual([10, 20, 30])
    reader.finish()
  })

  test('reply: full and in part → the structure that another decoder of MessagePack sees', () => {
    const writer = new WireWriter()
    writeFullReplyHead(writer, 2)
    writer.boolean(true)
    writeFault(writer, { code: 16, outcome: 'not-applied', message: 'busy' })
    expect(unpack(writer.written())).toEqual([null, [true, { 16: [1, 'busy'] }]])
    writer.position = 0
    writePartReplyHead(writer, [1])
    writer.nil()
    expect(unpack(writer.written())).toEqual([[1], [null]])
  })

  test.each([
    ['more answers than calls', (writer: WireWriter) => writeFullReplyHead(writer, 3)],
    ['fewer answers than calls', (writer: WireWriter) => writeFullReplyHead(writer, 1)],
    ['a position beyond the batch', (writer: WireWriter) => writePartReplyHead(writer, [0, 2])],
    ['more positions than calls', (writer: WireWriter) => writePartReplyHead(writer, [0, 1, 1])],
  ])('reply: %s → PROTOCOL', (_, write) => {
    const reader = reading((writer) => {
      write(writer)
      writer.raw(new Uint8Array(8))
    })
    expect(() => readReplyHead(reader, 2)).toThrow(refused)
  })

  test('reply: positions and answers differ in count → PROTOCOL', () => {
    expect(() => readReplyHead(new WireReader(Buffer.from('92910090', 'hex')), 2)).toThrow(refused)
  })

  test('fault: any code, outcome and message → read back in place of the answer', () => {
    fc.assert(
      fc.property(fc.nat(), fc.constantFrom(...OUTCOMES), fc.string(), (code, outcome, message) => {
        const reader = reading((writer) => writeFault(writer, { code, outcome, message }))
        expect(readFault(reader)).toEqual({ code, outcome, message })
        reader.finish()
      }),
    )
  })

  test('fault: an answer is next → it is left to be read', () => {
    const reader = reading((writer) => writer.nil())
    expect(readFault(reader)).toBeUndefined()
    expect(reader.skipNil()).toBe(true)
  })

  test('fault: a message that is too long to be read → cut', () => {
    const fault = { code: 1, outcome: 'unknown', message: 'ü'.repeat(9_000) } as const
    const message = readFault(reading((writer) => writeFault(writer, fault)))?.message ?? ''
    expect(Buffer.byteLength(message)).toBeLessThanOrEqual(ERROR_TEXT_BYTES_MAX)
    expect(message.endsWith('…')).toBe(true)
  })

  test('fault: an outcome that is none → PROTOCOL', () => {
    expect(OUTCOMES.map((_, wire) => outcomeOf(wire))).toEqual(OUTCOMES)
    expect(() => outcomeOf(OUTCOMES.length)).toThrow(refused)
    expect(() => readFault(new WireReader(Buffer.from('81059203a0', 'hex')))).toThrow(refused)
  })
})
