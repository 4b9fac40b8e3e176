import { describe, expect, test } from 'vitest'
import type { LinkFrame, LinkRequest, ReplyEnd } from './data-link.js'
import { localLink } from './local-link.js'

const BODY = Uint8Array.of(1, 2, 3)

function start() {
  const log: string[] = []
  const noted = (who: string, frame: LinkFrame): void => void log.push(`${who} ${frame.type}`)
  let replies: ReplyEnd | undefined
  const requests: LinkRequest[] = []
  const link = localLink(
    {
      onFrame: (frame) => {
        noted('client:', frame)
      },
      onChunkEnd: () => void log.push('client: end'),
      onEnd: () => void log.push('over'),
    },
    (end) => {
      replies = end
      return {
        onFrame: (frame) => {
          requests.push(frame)
          noted('host:', frame)
          if (frame.type === 'batch') end.reply(frame.connection, frame.batchId, true, BODY)
        },
        onChunkEnd: () => void log.push('host: end'),
      }
    },
  )
  return { link, log, requests, replies: replies! }
}

describe('local link', () => {
  test('what one side says → the other hears at once, in order; one end for each turn', async () => {
    const { link, log, requests } = start()
    link.open(7, 12)
    link.batch(7, { id: 3, topologyVersion: 4, remainingMs: 5, body: BODY })
    link.watching('credit', 7, BODY)
    link.window(7, 9)
    link.close(7)
    expect(log).toEqual([
      'host: open',
      'host: batch',
      'client: reply',
      'host: credit',
      'host: window',
      'host: close',
    ])
    log.length = 0
    await new Promise((resolve) => void setImmediate(resolve))
    expect(log).toEqual(['host: end', 'client: end'])
    expect(requests[1]).toEqual({
      type: 'batch',
      connection: 7,
      batchId: 3,
      topologyVersion: 4,
      remainingMs: 5,
      body: BODY,
    })
  })

  test('news that answer nothing → a turn of their own', async () => {
    const { log, replies } = start()
    replies.event(7, BODY)
    await new Promise((resolve) => void setImmediate(resolve))
    expect(log).toEqual(['client: event', 'client: end'])
  })

  test('ended → whoever forwards hears it', () => {
    const { link, log } = start()
    link.end()
    expect(log).toEqual(['over'])
  })
})
