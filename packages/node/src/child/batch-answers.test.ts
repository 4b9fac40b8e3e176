import { MESSAGE_BYTES_MAX } from '@kv/protocol'
import { describe, expect, test } from 'vitest'
import { encoded } from '../shard/answer.js'
import { BatchAnswers } from './batch-answers.js'
import { gather, readReply } from './testing/batches.js'

function start(callCount: number) {
  let readies = 0
  const answers = new BatchAnswers(9, callCount, () => (readies += 1))
  const take = () =>
    answers.take().map(({ message, final }) => {
      const reply = readReply(message, callCount)
      expect(reply.final).toBe(final)
      expect(message.length).toBeLessThan(MESSAGE_BYTES_MAX + 262_144)
      return reply
    })
  return { answers, take, readies: () => readies }
}

function bytesAnswer(text: string): Uint8Array {
  return encoded((writer) => writer.binary(Buffer.from(text)))
}

describe('batch answers', () => {
  test('all ready at once, in any order → one message, in call order', () => {
    const { answers, take, readies } = start(4)
    answers.answer(2, true)
    answers.answer(0, 17)
    answers.answer(3, null)
    expect(readies()).toBe(1)
    answers.answer(1, bytesAnswer('x'))
    expect(readies()).toBe(2)
    expect(take()).toEqual([
      { batchId: 9, final: true, positions: undefined, answers: [17, 'x', true, null] },
    ])
  })

  test('ready at different times → parts, the last of them final', () => {
    const { answers, take, readies } = start(3)
    answers.answer(1, 11)
    expect(take()).toEqual([{ batchId: 9, final: false, positions: [1], answers: [11] }])
    answers.answer(2, 12)
    expect(readies()).toBe(2)
    answers.answer(0, 10)
    expect(readies()).toBe(3)
    expect(take()).toEqual([{ batchId: 9, final: true, positions: [2, 0], answers: [12, 10] }])
  })

  test('a call answered twice → an error of ours', () => {
    const { answers } = start(2)
    answers.answer(0, 1)
    expect(() => answers.answer(0, 1)).toThrow(/answered twice/)
  })

  test.each([
    ['at once', [[0, 1, 2, 3, 4, 5, 6, 7]]],
    [
      'in two turns',
      [
        [3, 1],
        [0, 2, 7, 6, 5, 4],
      ],
    ],
  ])('P7: answers of a mebibyte, ready %s → messages a client takes, one final', (_name, turns) => {
    const { answers, take } = start(8)
    const large = 'x'.repeat(1_048_576)
    const replies = turns.flatMap((positions) => {
      for (const position of positions) answers.answer(position, bytesAnswer(`${position}${large}`))
      return take()
    })
    expect(replies.map(({ final }) => final)).toEqual([...Array(7).fill(false), true])
    const first = gather(replies, 8).map((answer) => (answer as string).slice(0, 2))
    expect(first).toEqual(['0x', '1x', '2x', '3x', '4x', '5x', '6x', '7x'])
  })

  test('P7: many small answers → as few messages as their size allows', () => {
    const { answers, take } = start(10_000)
    for (let position = 0; position < 10_000; position += 1) {
      answers.answer(position, bytesAnswer('x'.repeat(100)))
    }
    const replies = take()
    expect(replies).toHaveLength(4)
    expect(gather(replies, 10_000)).not.toContain(undefined)
  })
})
