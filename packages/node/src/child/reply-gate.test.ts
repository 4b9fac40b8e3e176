import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { BatchAnswers } from './batch-answers.js'
import { Connection } from './connection.js'
import { PATIENCE_MS, ReplyGate } from './reply-gate.js'

function start(): {
  sent: number[][]
  batch: (id: number, callCount: number) => BatchAnswers
} {
  const sent: number[][] = []
  const gate = new ReplyGate((connection, answers) => {
    const replies = answers.take()
    sent.push([connection.id, answers.batchId, replies.at(-1)?.final === true ? 1 : 0])
  })
  const connection = new Connection(7, 1)
  const batch = (id: number, callCount: number): BatchAnswers => {
    const answers: BatchAnswers = new BatchAnswers(id, callCount, () => {
      gate.onAnswer(connection, answers)
    })
    return answers
  }
  return { sent, batch }
}

describe('reply gate', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  test('all answers in one turn → one message at its end', async () => {
    const { sent, batch } = start()
    const answers = batch(1, 2)
    answers.answer(1, 5)
    answers.answer(0, 4)
    expect(sent).toEqual([])
    await vi.advanceTimersByTimeAsync(0)
    expect(sent).toEqual([[7, 1, 1]])
  })

  test('answers in several turns → still one message, when the last is there', async () => {
    const { sent, batch } = start()
    const answers = batch(1, 2)
    answers.answer(0, 4)
    await vi.advanceTimersByTimeAsync(PATIENCE_MS - 1)
    expect(sent).toEqual([])
    answers.answer(1, 5)
    await vi.advanceTimersByTimeAsync(PATIENCE_MS)
    expect(sent).toEqual([[7, 1, 1]])
  })

  test('one shard is slow → what is ready leaves without it, the rest when it is there', async () => {
    const { sent, batch } = start()
    const slow = batch(1, 2)
    const quick = batch(2, 1)
    slow.answer(0, 4)
    quick.answer(0, 9)
    await vi.advanceTimersByTimeAsync(PATIENCE_MS)
    expect(sent).toEqual([
      [7, 2, 1],
      [7, 1, 0],
    ])
    slow.answer(1, 5)
    await vi.advanceTimersByTimeAsync(0)
    expect(sent.at(-1)).toEqual([7, 1, 1])
  })

  test('the last answer meets the end of patience → sent once', async () => {
    const { sent, batch } = start()
    const answers = batch(1, 2)
    answers.answer(0, 4)
    await vi.advanceTimersByTimeAsync(PATIENCE_MS - 1)
    answers.answer(1, 5)
    vi.advanceTimersByTime(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(sent).toEqual([[7, 1, 1]])
  })
})
