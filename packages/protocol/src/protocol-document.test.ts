import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { runInThisContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import type { AtomicOperation } from './atomic-call.js'
import { atomicCall, CHECK_TAG } from './atomic-call.js'
import { BATCH_HEADROOM_BYTES, BatchBody, encodeBatch } from './batch-body.js'
import type { BatchHead } from './batch-body.js'
import {
  readFault,
  readReplyHead,
  writeFault,
  writeFullReplyHead,
  writePartReplyHead,
} from './batch-reply.js'
import type { Fault } from './batch-reply.js'
import type { Call, ReadCall } from './calls.js'
import { CALL_TAGS, readReadCall, readWriteCall, writeReadCall, writeWriteCall } from './calls.js'
import { decodeClientMessage, decodeNodeMessage, encodeMessage } from './codec.js'
import type { WireEvent } from './event-body.js'
import { EVENT_TAGS, readEvents, writeEvent } from './event-body.js'
import { shardOf } from './keys.js'
import * as limits from './limits.js'
import type { Message } from './messages.js'
import { CLOSE_CODES, MESSAGE_TAGS } from './messages.js'
import { TYPED_ARRAY_KINDS, VALUE_EXTENSION, VALUE_KINDS } from './value-kinds.js'
import { decodeValue } from './value-decoder-node.js'
import { encodeValue } from './values.js'
import type { WireWatch } from './watch-body.js'
import { readWatches, writeWatch } from './watch-body.js'
import { WireReader } from './wire-reader.js'
import { WireWriter } from './wire-writer.js'

const documented = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8')

/** The lines of the fenced block of this kind. */
function block(kind: string): string[] {
  const found = new RegExp(`^\`\`\`${kind}\\n(.*?)^\`\`\``, 'msu').exec(documented)?.[1]
  assert(found !== undefined, `docs/protocol.md has no block ${kind}`)
  return found.trimEnd().split('\n')
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('hex')
    .replaceAll(/..(?=.)/gu, '$& ')
}

/** Pairs of lines: what is meant in JavaScript, and its bytes in hex. */
function vectors(kind: string): [notation: string, hex: string][] {
  const lines = block(kind).filter((line) => line !== '')
  assert(lines.length % 2 === 0, `the block ${kind} has an odd number of lines`)
  return Array.from({ length: lines.length / 2 }, (_, index) => [
    lines[index * 2] as string,
    lines[index * 2 + 1] as string,
  ])
}

/** What the notation means. The document is ours, so it may be run. */
function meaningOf(notation: string): unknown {
  return (runInThisContext(`(hex) => (${notation})`) as (hex: typeof bytesOf) => unknown)(bytesOf)
}

function written(write: (writer: WireWriter) => void): string {
  const writer = new WireWriter()
  write(writer)
  return hexOf(writer.written())
}

/** Rows of the tables whose first cells are these, as `second cell → first cell`. */
function rows(first: RegExp): Map<string, number> {
  const row = new RegExp(`^\\| *(${first.source}) *\\| *\`?([A-Za-z_0-9, ]+?)\`? *\\|`, 'gmu')
  return new Map(Array.from(documented.matchAll(row), ([, one, two]) => [two ?? '', Number(one)]))
}

interface SetNotation {
  readonly value: Uint8Array
}

function callOf(notation: Call | AtomicOperation | (Call & SetNotation)): Call {
  if ('operations' in notation) {
    return atomicCall(notation.operations.map((each) => callOf(each) as AtomicOperation))
  }
  if (!('value' in notation)) return notation as Call
  const { value, ...call } = notation
  return { ...call, source: value, start: 0, end: value.length } as Call
}

/** With the bytes of a set's value where a message has its place. */
function notationOf(call: Call | AtomicOperation): object {
  if (call.type === 'atomic') return { ...call, operations: call.operations.map(notationOf) }
  if ('owner' in call) return { ...call, owner: Uint8Array.from(call.owner) }
  if (call.type !== 'set') return call
  const { source, start, end, ...rest } = call
  return { ...rest, value: Uint8Array.from(source.subarray(start, end)) }
}

describe('protocol document: vectors', () => {
  test.each(vectors('kv-messages'))('message %s', (notation, hex) => {
    const message = meaningOf(notation) as Message
    expect(hexOf(encodeMessage(message))).toBe(hex)
    const decode = MESSAGE_TAGS[message.type] < 64 ? decodeClientMessage : decodeNodeMessage
    expect(decode(bytesOf(hex))).toEqual(meaningWithBuffers(message))
  })

  test('message vectors → there is one for every message', () => {
    const types = vectors('kv-messages').map(([notation]) => (meaningOf(notation) as Message).type)
    expect(new Set(types)).toEqual(new Set(Object.keys(MESSAGE_TAGS)))
  })

  test.each(vectors('kv-reads'))('read %s', (notation, hex) => {
    const call = meaningOf(notation) as ReadCall
    expect(written((writer) => writeReadCall(writer, call))).toBe(hex)
    expect(readReadCall(new WireReader(bytesOf(hex)))).toEqual(call)
  })

  test.each(vectors('kv-writes'))('write %s', (notation, hex) => {
    const call = meaningOf(notation) as Call
    expect(written((writer) => writeWriteCall(writer, callOf(call)))).toBe(hex)
    expect(notationOf(readWriteCall(new WireReader(bytesOf(hex))))).toEqual(call)
  })

  test('call vectors → there is one for every call', () => {
    const types = [...vectors('kv-reads'), ...vectors('kv-writes')].map(
      ([notation]) => (meaningOf(notation) as Call).type,
    )
    expect(new Set(types)).toEqual(new Set(Object.keys(CALL_TAGS)))
  })

  test.each(vectors('kv-bodies'))('body %s', (notation, hex) => {
    const { calls, ...head } = meaningOf(notation) as BatchHead & { readonly calls: Call[] }
    const writer = new WireWriter(0, BATCH_HEADROOM_BYTES)
    for (const call of calls) {
      if (!('lowWater' in head)) writeReadCall(writer, call as ReadCall)
      else writeWriteCall(writer, call)
    }
    const envelope = { id: 1, child: 1, topologyVersion: 1, remainingMs: 1 }
    const message = decodeClientMessage(encodeBatch(envelope, head, calls.length, writer))
    assert(message.type === 'batch')
    expect(hexOf(message.body)).toBe(hex)
    const body = new BatchBody(bytesOf(hex))
    expect(body.kind).toBe(head.kind)
    expect(body.lowWater).toBe('lowWater' in head ? head.lowWater : 0)
    expect(calls.map((_, position) => body.sequenceAt(position))).toEqual(sequencesOf(head, calls))
    expect(calls.map(() => body.next())).toEqual(calls)
  })

  test.each(vectors('kv-replies'))('reply %s', (notation, hex) => {
    const reply = meaningOf(notation) as { positions: number[] | undefined; answers: unknown[] }
    expect(
      written((writer) => {
        if (reply.positions === undefined) writeFullReplyHead(writer, reply.answers.length)
        else writePartReplyHead(writer, reply.positions)
        for (const answer of reply.answers) writeItem(writer, answer)
      }),
    ).toBe(hex)
    const reader = new WireReader(bytesOf(hex))
    const callCount = reply.positions === undefined ? reply.answers.length : 16
    expect(readReplyHead(reader, callCount)).toEqual(reply.positions)
    expect(reply.answers.map(() => readItem(reader))).toEqual(reply.answers)
    reader.finish()
  })

  test.each(vectors('kv-watches'))('watches %s', (notation, hex) => {
    const watches = meaningOf(notation) as WireWatch[]
    expect(
      written((writer) => {
        writer.array(watches.length)
        for (const watch of watches) writeWatch(writer, watch)
      }),
    ).toBe(hex)
    expect(readWatches(new WireReader(bytesOf(hex)))).toEqual(watches)
  })

  test.each(vectors('kv-events'))('event %s', (notation, hex) => {
    const event = meaningOf(notation) as WireEvent
    expect(written((writer) => writeEvent(writer, event))).toBe(hex)
    const found: WireEvent[] = []
    readEvents(new WireReader(bytesOf(`91 ${hex}`)), (each) => found.push(each))
    expect(found).toEqual([meaningWithBuffers(event)])
  })

  test('event vectors → there is one for every event', () => {
    const types = vectors('kv-events').map(([notation]) => (meaningOf(notation) as WireEvent).type)
    expect(types).toEqual(Object.keys(EVENT_TAGS))
  })

  test.each(vectors('kv-values'))('value %s', (notation, hex) => {
    const value = meaningOf(notation)
    expect(written((writer) => encodeValue(writer, value))).toBe(hex)
    expect(decodeValue(bytesOf(hex))).toStrictEqual(value)
  })

  test.each(block('kv-shards'))('shard %s', (line) => {
    const [, key, shardCount, shard] = /^(".*") (\d+) → (\d+)$/u.exec(line) ?? []
    expect(shardOf(JSON.parse(key ?? '') as string, Number(shardCount))).toBe(Number(shard))
  })
})

describe('protocol document: tables', () => {
  test('messages and calls → the numbers of the code', () => {
    const found = Object.fromEntries(rows(/\d{1,2}/u))
    expect(found).toMatchObject({ ...MESSAGE_TAGS, ...CALL_TAGS, check: CHECK_TAG })
  })

  test('events → the numbers of the code', () => {
    const row = /^\| `([a-z]+)` +\| +(\d+) \|/gmu
    const found = Array.from(documented.matchAll(row), ([, name, tag]) => [name, Number(tag)])
    expect(Object.fromEntries(found)).toEqual(EVENT_TAGS)
  })

  test('close codes → those of the code', () => {
    const found = Array.from(documented.matchAll(/^\| *(\d{4}) \|/gmu), ([, code]) => Number(code))
    expect(found).toEqual(Object.values(CLOSE_CODES))
  })

  test('kinds of values → those of the code', () => {
    expect(documented).toContain(`**${VALUE_EXTENSION}**`)
    const table = documented.slice(documented.indexOf('| Kind | Data'))
    const found = Array.from(table.matchAll(/^\| +(\d+) \|/gmu), ([, kind]) => Number(kind))
    expect(found).toEqual([...Object.values(VALUE_KINDS), ...TYPED_ARRAY_KINDS.values()])
    for (const [name, kind] of TYPED_ARRAY_KINDS) {
      expect(table).toMatch(new RegExp(`^\\| +${kind} \\| ${name} +\\|$`, 'mu'))
    }
  })

  test('limits → every limit of the code, with its value', () => {
    const row = /^\| `([A-Z_]+)` +\| +([\d,]+) \|/gmu
    const found = Array.from(documented.matchAll(row), ([, name, value]) => [
      name,
      Number(value?.replaceAll(',', '')),
    ])
    expect(Object.fromEntries(found)).toEqual({ ...limits })
  })
})

/** A decoded message has Buffers, which compare by content but not by class. */
function meaningWithBuffers(message: object): unknown {
  return Object.fromEntries(
    Object.entries(message).map(([key, value]) => [
      key,
      value instanceof Uint8Array ? Buffer.from(value) : value,
    ]),
  )
}

function sequencesOf(head: BatchHead, calls: readonly Call[]): readonly number[] {
  if (head.kind === 'resends') return head.sequences
  return calls.map((_, position) => (head.kind === 'writes' ? head.firstSequence + position : 0))
}

function writeItem(writer: WireWriter, item: unknown): void {
  if (item === null) writer.nil()
  else if (typeof item === 'number') writer.number(item)
  else if (typeof item === 'boolean') writer.boolean(item)
  else if (typeof item === 'string') writer.text(item)
  else if (item instanceof Uint8Array) writer.binary(item)
  else if (Array.isArray(item)) {
    writer.array(item.length)
    for (const part of item) writeItem(writer, part)
  } else {
    writeFault(writer, (item as { fault: Fault }).fault)
  }
}

function readItem(reader: WireReader): unknown {
  const fault = readFault(reader)
  if (fault !== undefined) return { fault }
  if (reader.skipNil()) return null
  if (reader.isText()) return reader.text(reader.end)
  if (reader.isArray()) return Array.from({ length: reader.array(16) }, () => readItem(reader))
  const head = reader.peek()
  if (head === 0xc2 || head === 0xc3) return reader.boolean()
  if (head >= 0xc4 && head <= 0xc6) return Uint8Array.from(reader.binary(reader.end))
  return reader.number()
}
