/**
 * Messages of the largest size that cost a decoder as much as any: deep, long, many.
 */
import type { Call } from '@kv/protocol'
import { BATCH_CALLS_MAX, MESSAGE_BYTES_MAX } from '@kv/protocol'
import { bodyOf, envelope } from './samples.js'

const ENVELOPE_BYTES = 64
const BODY_BYTES = MESSAGE_BYTES_MAX - ENVELOPE_BYTES

/** Name → message for child 1. Each is malformed, as late as it can be. */
export function bombs(): Readonly<Record<string, Uint8Array>> {
  const tinyGets = Array.from({ length: BATCH_CALLS_MAX }, (): Call => ({ type: 'get', key: 'f' }))
  const longKey = `fuzz${'🦊'.repeat(500)}`
  const longGets = Array.from({ length: 640 }, (): Call => ({ type: 'get', key: longKey }))
  return {
    'arrays in arrays': withBody(new Uint8Array(BODY_BYTES).fill(0x91)),
    'maps in maps': withBody(new Uint8Array(BODY_BYTES).fill(0x81)),
    'a million empty items': withBody(new Uint8Array(BODY_BYTES).fill(0xc0)),
    'arrays in arrays instead of a message': new Uint8Array(MESSAGE_BYTES_MAX).fill(0x91),
    'a text of a megabyte as key': withBody(longText()),
    'a text of a megabyte that is not UTF-8': withBody(longText(0xf4)),
    'the most calls there may be, the last one cut': cut(bodyOf({ kind: 'reads' }, tinyGets)),
    'a megabyte of keys, the last one cut': cut(bodyOf({ kind: 'reads' }, longGets)),
    'more calls than there may be': withBody(manyCalls(200_000)),
    'as many sequence numbers as there may be': withBody(manySequences(BATCH_CALLS_MAX)),
  }
}

function withBody(body: Uint8Array): Uint8Array {
  return envelope(1, 1, body)
}

/** The envelope stays whole; the body ends too early. */
function cut(body: Uint8Array): Uint8Array {
  return withBody(body.subarray(0, body.length - 1))
}

function longText(fill: number = 0x66): Uint8Array {
  const body = new Uint8Array(BODY_BYTES).fill(fill)
  const length = BODY_BYTES - 8
  body.set([0x92, 0x00, 0x91, 0xdb, length >>> 24, length >>> 16, length >>> 8, length])
  return body
}

function manyCalls(count: number): Uint8Array {
  const body = new Uint8Array(7 + count * 2).fill(0xa1)
  body.set([0x92, 0x00, 0xdd, count >>> 24, count >>> 16, count >>> 8, count])
  return body
}

function manySequences(count: number): Uint8Array {
  const body = new Uint8Array(6 + count).fill(0x01)
  body.set([0x94, 0x02, 0x00, 0xdc, count >>> 8, count])
  return body
}
