import { ERROR_RULES, MOVED, readFault, WireReader, WireWriter } from '@kv/protocol'
import { describe, expect, test } from 'vitest'
import type { Answer } from './answer.js'
import { encoded, fault, MOVED_ANSWER, unreadable, writeAnswer, writeEntry } from './answer.js'
import { writeValue } from './answer.js'
import { readEntryAnswer, readValueAnswer } from './testing/calls.js'
import { textHeld } from './testing/entries.js'

describe('answer', () => {
  test.each<[Answer, number[]]>([
    [5, [5]],
    [true, [0xc3]],
    [false, [0xc2]],
    [null, [0xc0]],
    [Uint8Array.of(1, 2), [1, 2]],
  ])('%j → its form in a reply', (answer, bytes) => {
    const writer = new WireWriter()
    writeAnswer(writer, answer)
    expect([...writer.written()]).toEqual(bytes)
  })

  test('an entry → version, expiry and value; none → nil', () => {
    const held = textHeld('x', 7, { expiresAt: 9 })
    const entry = encoded((writer) => writeEntry(writer, held))
    expect(readEntryAnswer(entry)).toEqual({ version: 7, expiresAt: 9, text: 'x' })
    expect(readValueAnswer(encoded((writer) => writeValue(writer, held)))).toBe('x')
    expect([...encoded((writer) => writeEntry(writer, undefined))]).toEqual([0xc0])
    expect([...encoded((writer) => writeValue(writer, undefined))]).toEqual([0xc0])
  })

  test('a fault → code, message, and the outcome of the table unless it is known better', () => {
    const read = (answer: Uint8Array) => readFault(new WireReader(answer))
    const code = ERROR_RULES.UNAVAILABLE.wire
    expect(read(fault('UNAVAILABLE', 'why'))).toEqual({ code, outcome: 'unknown', message: 'why' })
    expect(read(unreadable(3, new Error('damage')))).toEqual({
      code,
      outcome: 'not-applied',
      message: "shard 3 can't be read: damage",
    })
    expect(read(MOVED_ANSWER)).toMatchObject({ code: MOVED, outcome: 'not-applied' })
  })
})
