import { decodeNodeMessage, ERROR_RULES } from '@kv/protocol'
import { describe, expect, test } from 'vitest'
import { failureMessage, Reply } from './reply.js'
import { readReply } from './testing/batches.js'

function replyWith(batchId: number, answers: number): Reply {
  const reply = new Reply(batchId)
  for (let answer = 0; answer < answers; answer += 1) reply.writer.integer(answer)
  return reply
}

describe('reply', () => {
  test.each([1, 2 ** 50])('full, to batch %i → a final message that answers every call', (id) => {
    expect(readReply(replyWith(id, 3).full(3), 3)).toEqual({
      batchId: id,
      final: true,
      positions: undefined,
      answers: [0, 1, 2],
    })
  })

  test.each([true, false])('a part, final %s → the positions and their answers', (final) => {
    expect(readReply(replyWith(7, 2).part([4, 1], final), 5)).toEqual({
      batchId: 7,
      final,
      positions: [4, 1],
      answers: [0, 1],
    })
  })

  test('a head longer than the room in front → the same message', () => {
    const positions = Array.from({ length: 300 }, (_, index) => 40_000 - index)
    const reply = readReply(replyWith(7, 300).part(positions, false), 50_000)
    expect(reply.positions).toEqual(positions)
    expect(reply.answers).toEqual(positions.map((_, index) => index))
  })

  test('bytes → those of the answers alone', () => {
    const reply = new Reply(1)
    expect(reply.bytes).toBe(0)
    reply.writer.integer(1)
    expect(reply.bytes).toBe(1)
  })

  test('a broken protocol → what the client is told', () => {
    const message = decodeNodeMessage(failureMessage(ERROR_RULES.PROTOCOL.wire, 'why'))
    expect(message).toEqual({ type: 'failure', code: ERROR_RULES.PROTOCOL.wire, message: 'why' })
  })
})
